// What every service of a deployment has to keep. Each rule gives one sentence for each violation.
import type { Deployment, Fields } from "./compose-model.ts";
import { fieldsOf, interpolated, listOf, mountsOf, stringsIn } from "./compose-model.ts";

export type Rule = (deployment: Deployment) => readonly string[];

/** A rule about one service at a time. */
function eachService(judge: (service: Fields, name: string) => readonly string[]): Rule {
  return ({ services }) =>
    Object.entries(services).flatMap(([name, service]) =>
      judge(service, name).map((fault) => `${name}: ${fault}`),
    );
}

/** It runs to its end and is not kept up. */
function isOneShot(service: Fields): boolean {
  const restart = String(service["restart"]);
  return restart === "no" || restart.startsWith("on-failure");
}

export const pinnedImages: Rule = eachService((service) => {
  const image = String(service["image"]);
  // A patch version, or two numbers where the project has no third (PostgreSQL).
  return /^[a-z0-9/_-]+:v?\d+\.\d+(?:\.\d+)?(?:-[a-z0-9.-]+)?$/.test(image)
    ? []
    : [`the image ${image} is not pinned to a version`];
});

export const healthChecks: Rule = eachService((service) => {
  const { test, disable, interval, timeout, retries } = fieldsOf(service["healthcheck"]);
  if (isOneShot(service)) return disable === true ? [] : ["a one-shot says healthcheck: disable"];
  const isWhole = test !== undefined && interval && timeout && retries;
  return isWhole ? [] : ["it has no health check with test, interval, timeout and retries"];
});

/** Docker hands a client's proxy settings to its containers, and a proxy knows no 127.0.0.1 of theirs. */
export const healthPastProxies: Rule = eachService((service) => {
  const asked = JSON.stringify(fieldsOf(service["healthcheck"])["test"] ?? "");
  const wget = /\bwget /.test(asked) && !/\bhttp_proxy= wget /.test(asked);
  const fetches = /\bfetch\(/.test(asked) && !/\bno_proxy = '127\.0\.0\.1'/.test(asked);
  return wget || fetches ? ["its health check asks a proxy where one is set"] : [];
});

export const restartPolicies: Rule = eachService((service) =>
  service["restart"] === "unless-stopped" || isOneShot(service)
    ? []
    : ["nothing says what happens when it ends: restart"],
);

export const limits: Rule = eachService((service) => {
  const given = fieldsOf(fieldsOf(fieldsOf(service["deploy"])["resources"])["limits"]);
  const missing = ["cpus", "memory", "pids"].filter((name) => given[name] === undefined);
  const { options } = fieldsOf(service["logging"]);
  return [
    ...missing.map((name) => `it has no limit on ${name}`),
    ...(fieldsOf(options)["max-size"] === undefined ? ["its log has no limit"] : []),
  ];
});

export const hardened: Rule = eachService((service) => [
  ...(service["read_only"] === true ? [] : ["its root is writable"]),
  ...(listOf(service["cap_drop"]).includes("ALL") ? [] : ["it keeps capabilities"]),
  ...(listOf(service["security_opt"]).includes("no-new-privileges:true")
    ? []
    : ["it may gain privileges"]),
  ...(service["privileged"] === undefined && service["cap_add"] === undefined
    ? []
    : ["it is given privileges"]),
]);

export const portsOnLoopback: Rule = eachService((service) =>
  listOf(service["ports"])
    .filter((port) => !port.startsWith("127.0.0.1:"))
    .map((port) => `${port} is open to other machines: begin it with 127.0.0.1:`),
);

/** Two services on one port of the machine: the second would not start. */
export const portsOnce: Rule = ({ services }) => {
  const ports = Object.values(services).flatMap((service) =>
    listOf(service["ports"]).map((port) => port.slice(0, port.lastIndexOf(":"))),
  );
  return [...new Set(ports.filter((port, at) => ports.indexOf(port) !== at))].map(
    (port) => `${port} is published twice`,
  );
};

export const dependencies: Rule = ({ services }) =>
  Object.entries(services).flatMap(([name, service]) =>
    Object.entries(fieldsOf(service["depends_on"])).flatMap(([needed, how]) => {
      const other = services[needed];
      if (other === undefined) return [`${name}: it depends on ${needed}, which is no service`];
      const wanted = isOneShot(other) ? "service_completed_successfully" : "service_healthy";
      const { condition } = fieldsOf(how);
      return condition === wanted ? [] : [`${name}: it does not wait for ${needed}: ${wanted}`];
    }),
  );

/** `exists` judges paths as they stand in the file. */
export function mountedPaths(exists: (path: string) => boolean): Rule {
  return ({ services, volumes }) => {
    return Object.entries(services).flatMap(([name, service]) =>
      mountsOf(service).flatMap(({ source, mode }) => {
        if (!source.startsWith(".")) {
          return volumes.includes(source) ? [] : [`${name}: the volume ${source} is not declared`];
        }
        if (!exists(source)) return [`${name}: ${source} is mounted and does not exist`];
        return mode === "ro" ? [] : [`${name}: ${source} is mounted writable`];
      }),
    );
  };
}

const secretName = /PASS|TOKEN|SECRET/;
const fromEnv = /^\$\{[A-Z_]+:-\}$/;
const inVolume = /^\/secrets\/[a-z]+\/[a-z]+$/;

/** A secret that stands in the file, or in the environment of anything but what makes secrets. */
export const literalSecrets: Rule = eachService((service, name) => {
  const environment = Object.entries(fieldsOf(service["environment"]));
  const isMaker = name === "secrets";
  const named = environment
    .filter(([variable]) => secretName.test(variable))
    .filter(([, value]) => !(isMaker ? fromEnv : inVolume).test(String(value)))
    .map(([variable]) => `${variable} is not the path of a file in /secrets`);
  const inUrls = stringsIn(service).filter((text) =>
    /:\/\/[^/@\s]*:[^/@\s]+@/.test(text.replaceAll(/\$\$\(cat \/secrets\/[a-z/]+\)/g, "")),
  );
  const inFlags = stringsIn(service).flatMap((text) =>
    Array.from(text.matchAll(/--(?:requirepass|masterauth)\s+(?<password>"[^"]*"|\S+)/g), (match) =>
      String(match.groups?.["password"]),
    ),
  );
  return [
    ...named,
    ...inUrls.map(() => "a URL holds a password that does not come from /secrets"),
    ...inFlags
      .filter((password) => !/^"\$\$\(cat \/secrets\/[a-z/]+\)"$/.test(password))
      .map(() => "a flag holds a password that does not come from /secrets"),
  ];
});

/** A secret's volume is seen by those who read it, only to read, and not before it is filled. */
export const secretVolumes: Rule = eachService((service, name) => {
  if (name === "secrets") return [];
  const mounted = mountsOf(service).filter(({ source }) => source.startsWith("secret-"));
  const read = new Set(
    stringsIn(service).flatMap((text) =>
      Array.from(text.matchAll(/\/secrets\/(?<which>[a-z]+)\/[a-z]+/g), (match) =>
        String(match.groups?.["which"]),
      ),
    ),
  );
  // Its script reads it (deploy/postgres/init), which no command shows.
  if (name === "postgres") read.add("exporter");
  const names = mounted.map(({ source }) => source.slice("secret-".length));
  const { condition, restart } = fieldsOf(fieldsOf(service["depends_on"])["secrets"]);
  const waits = condition === "service_completed_successfully" && restart === true;
  return [
    ...names.filter((one) => !read.has(one)).map((one) => `it sees the secret ${one} for nothing`),
    ...[...read].filter((one) => !names.includes(one)).map((one) => `secret-${one} is not mounted`),
    ...mounted
      .filter(
        ({ source, target, mode }) =>
          mode !== "ro" || target !== source.replace("secret-", "/secrets/"),
      )
      .map(({ source }) => `${source} is mounted writable, or at another place than its own`),
    ...(names.length === 0 || waits ? [] : ["it does not wait for its secrets, and follow them"]),
  ];
});

/** What a process of ours takes beside its heap: code, sockets of ten thousand people, pools. */
const NATIVE_MB = 512;

/** The heap gives up before the kernel kills: the limit holds all that the flags allow, and the rest. */
export function memoryHolds(serverFlags: readonly string[]): Rule {
  const flag = (name: string): number => {
    const text = serverFlags.find((one) => one.startsWith(`--${name}=`));
    return Number(text?.slice(name.length + 3));
  };
  // V8's young generation: two semi-spaces, and as much again for what is being promoted.
  const neededMb = flag("max-old-space-size") + 3 * flag("max-semi-space-size") + NATIVE_MB;
  return eachService((service) => {
    const environment = fieldsOf(service["environment"]);
    if (environment["ROLE"] === undefined) return [];
    const { memory } = fieldsOf(fieldsOf(fieldsOf(service["deploy"])["resources"])["limits"]);
    const text = interpolated(String(memory), {});
    const limitMb = Number.parseFloat(text) * (text.endsWith("G") ? 1_024 : 1);
    const workers = Number(interpolated(String(environment["WORKERS"]), {}));
    return limitMb >= neededMb * workers
      ? []
      : [
          `its limit of ${text} is below the ${neededMb * workers} MB that its heap and the rest may take`,
        ];
  });
}

/** Every rule that needs nothing but the deployment. */
export const rules: readonly Rule[] = [
  pinnedImages,
  healthChecks,
  healthPastProxies,
  restartPolicies,
  limits,
  hardened,
  portsOnLoopback,
  portsOnce,
  dependencies,
  literalSecrets,
  secretVolumes,
];

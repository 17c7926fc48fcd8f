// Every port has a contract suite and every adapter runs it; first on planted files, then on the
// project as it stands.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  adaptersOf,
  adaptersWithoutContract,
  contractExceptions,
  portsOf,
  portsWithoutContract,
  staleContractExceptions,
} from "./architecture-contracts.ts";
import { file } from "./architecture-planting.ts";
import { readProject } from "./architecture-source.ts";
import type { SourceFile } from "./architecture-source.ts";

const project = readProject();

const ports = file(
  "packages/domain/src/ports.ts",
  "export interface CouponIssuer {\n}\nexport type Page = {};\nexport interface EventStore {\n}\n",
);
const contracts = [
  file(
    "packages/domain/contracts/index.ts",
    'export { couponIssuerContract } from "./a.contract.ts";\nexport { eventStoreContract } from "./b.contract.ts";',
  ),
  file(
    "packages/domain/contracts/a.contract.ts",
    "export function couponIssuerContract(name: string): void {}",
  ),
  file(
    "packages/domain/contracts/b.contract.ts",
    "export function eventStoreContract(name: string): void {}",
  ),
];

describe("a port", () => {
  test("fails without a contract suite, and with one that is not published", () => {
    assert.deepEqual(portsOf([ports]), ["CouponIssuer", "EventStore"]);
    assert.deepEqual(portsWithoutContract([ports, ...contracts]), []);
    for (const missing of contracts) {
      const left = contracts.filter((one) => one !== missing);
      assert.ok(portsWithoutContract([ports, ...left]).length > 0, missing.path);
    }
    assert.deepEqual(portsWithoutContract([ports]).length, 2);
    assert.equal(portsWithoutContract([]).length, 1);
  });

  test("has a contract suite in the project", () => {
    assert.ok(portsOf(project).includes("CouponIssuer"));
    assert.deepEqual(portsWithoutContract(project), []);
  });
});

describe("an adapter", () => {
  const path = "packages/infrastructure/src/fast-issuer.ts";
  const adapter = file(path, "export function fastIssuer(): CouponIssuer {\n  return made;\n}\n");
  const call = 'couponIssuerContract("fast", async () => fastIssuer());';
  const named = 'import { fastIssuer } from "../src/fast-issuer.ts";';
  const testPath = "packages/infrastructure/test/fast.contract.test.ts";
  const violations = (...files: readonly SourceFile[]): number =>
    adaptersWithoutContract([ports, adapter, ...files]).length;

  test("is found in every form in which it can be declared", () => {
    const forms = [
      "export function x(): CouponIssuer {",
      "export function x(options: {\n  readonly a: (b: string) => void;\n}): CouponIssuer {",
      "export async function x(a = { b: 1 }): Promise<CouponIssuer> {",
      "export function x<T extends { a: 1 }>(t: T): CouponIssuer & { close(): void } {",
      "export function x(): { readonly issuer: CouponIssuer; readonly n: () => void } {",
      "export const x = (a: number): CouponIssuer => ({",
      "export const x: CouponIssuer = {",
      "export class X implements CouponIssuer {",
      "export class X extends Base<string> implements AsyncDisposable, CouponIssuer {",
      "export type More = CouponIssuer & { close(): void };\nexport function x(): More {",
      "type Most = More & Closing;\ntype More = CouponIssuer;\nexport function x(): Most {",
      "export interface More extends CouponIssuer {}\nexport function x(): Promise<More> {",
    ];
    for (const form of forms) {
      const found = adaptersOf([ports, file(path, form)]);
      assert.deepEqual(
        found.map(({ port }) => port),
        ["CouponIssuer"],
        form,
      );
    }
    const others = [
      'export function x(): Awaited<ReturnType<CouponIssuer["status"]>> {',
      "export function x(issuer: CouponIssuer): void {",
      "export function x(): { readonly a: number } {\n  const issuer: CouponIssuer = y;\n}",
      "function inner(): CouponIssuer {",
    ];
    for (const form of others) assert.deepEqual(adaptersOf([ports, file(path, form)]), [], form);
  });

  test("fails where no contract test runs it", () => {
    assert.equal(violations(), 1);
    // Run by a test that is none of the contract.
    assert.equal(
      violations(file("packages/infrastructure/test/fast.test.ts", `${named}\n${call}`)),
      1,
    );
    // The contract of another port.
    assert.equal(
      violations(file(testPath, `${named}\neventStoreContract("fast", fastIssuer());`)),
      1,
    );
    // Imported and not used; a type only; one of the same name from elsewhere; only in a comment.
    assert.equal(violations(file(testPath, `${named}\ncouponIssuerContract("fast", other);`)), 1);
    assert.equal(
      violations(file(testPath, `${named.replace("import", "import type")}\n${call}`)),
      1,
    );
    assert.equal(violations(file(testPath, `${named.replace("/src/", "/other/")}\n${call}`)), 1);
    assert.equal(violations(file(testPath, `${named}\n// ${call}`)), 1);
    // Reached only through the adapters' own index: that proves nothing.
    const index = file("packages/infrastructure/src/index.ts", named.replace("../src", "."));
    assert.equal(violations(index, file(testPath, `import "../src/index.ts";\n${call}`)), 1);
  });

  test("passes where a contract test runs it, itself or by a helper", () => {
    assert.equal(violations(file(testPath, `${named}\n${call}`)), 0);
    const helper = file(
      "packages/infrastructure/test/support/fast.ts",
      `${named.replace("..", "../..")}\nexport const open = () => fastIssuer();`,
    );
    const test = file(
      testPath,
      'import { open } from "./support/fast.ts";\ncouponIssuerContract("fast", open);',
    );
    assert.equal(violations(helper, test), 0);
  });

  test("may be excused by name, as long as it exists and does not keep the contract", () => {
    const name = Object.keys(contractExceptions)[0] ?? "";
    const excused = file(path, adapter.text.replace("fastIssuer", name));
    assert.deepEqual(adaptersWithoutContract([ports, excused]), []);
    assert.deepEqual(staleContractExceptions([ports, excused]), []);
    assert.equal(staleContractExceptions([ports]).length, 1);
    const test = file(testPath, `${named}\n${call}`.replaceAll("fastIssuer", name));
    assert.equal(staleContractExceptions([ports, excused, test]).length, 1);
    assert.deepEqual(staleContractExceptions(project), []);
  });

  test("runs its port's contract in the project", () => {
    const names = adaptersOf(project).map(({ name }) => name);
    // Those that there certainly are: a rule that finds none of them looks in the wrong place.
    for (const name of [
      "rowLockIssuer",
      "redisCounterIssuer",
      "kafkaQueueIssuer",
      "postgresEventStore",
      "directoryProgressFeed",
      "memoryCouponIssuer",
      "memoryQueueIssuer",
    ]) {
      assert.ok(names.includes(name), `${name} was not found among ${names.join(", ")}`);
    }
    assert.deepEqual(adaptersWithoutContract(project), []);
  });
});

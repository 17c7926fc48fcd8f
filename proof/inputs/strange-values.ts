// What is strange and allowed.

/**
 * Names of JavaScript's own, of files, of nothing; subjects as providers give them; whatever separates or
 * quotes in SQL, Redis, JSON, CSV, a log or an address; and one name in three spellings.
 */
export const STRANGE_PERSONS = [
  ..."__proto__ constructor prototype toString hasOwnProperty valueOf".split(" "),
  ..."null undefined NaN true 0 -1 1e3 - _ . .. ~ @ a@b.example --help".split(" "),
  ..."Ana ana ANA".split(" "),
  ..."auth0|abc google-oauth2|1 ana+shop@example.com urn:example:person:ana".split(" "),
  ..."https://id.example/u?x=%20&y=1#me f:9d6c:Ana/B== 00000000-0000-0000-0000-000000000000".split(
    " ",
  ),
  ..."a:b a|b a,b a;b a/b a\\b a'b a\"b a`b a%b a_b a$b a&b a{b} {a,b} [a] (a) <b>a</b> \\ \\\\ \" ' , :".split(
    " ",
  ),
  ...`'--DROP {"$ne":"a"} redis.call('FLUSHALL') *3 $1 %00 \\N \\. \\u0041 $& {userId} =1+1 #`.split(
    " ",
  ),
  "x".repeat(64),
  "x".repeat(65),
  "~".repeat(255),
  '"'.repeat(255),
  "\\".repeat(255),
];
export const STRANGE_NAMES = [
  "'; DROP TABLE events; --",
  '{"level":60,"msg":"MARK"}',
  "<script>alert(1)</script>",
  "$1 *3 ${jndi:ldap://a}",
  "redis.call('FLUSHALL')",
  "{{7*7}} %s %n %00",
  "..\\..//etc/passwd",
  "\u202eright to left\u202c \u2067\u05e9\u05dc\u05d5\u05dd\u2069",
  "\u{1f469}\u200d\u{1f469}\u200d\u{1f467}",
  "\u0634\u0643\u0631\u0627",
  "봄 쿠폰",
  "line\u2028separator",
  "\u{1f338}".repeat(50),
  "e\u0301 is not \u00e9",
];
export const LAST_EVENT_IDS = [
  "-1",
  "0",
  "abc",
  "",
  "1.5",
  "1e99",
  "NaN",
  "null",
  "__proto__",
  "9".repeat(30),
  "9007199254740993",
  "18446744073709551616",
  "'; DROP TABLE events",
  "*",
  "\u{1f338}",
  "x".repeat(8_000),
];

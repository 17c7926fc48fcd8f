/** What a person has to change before it can start; the message says how. */
export class LaunchRefused extends Error {
  override readonly name = "LaunchRefused";
}

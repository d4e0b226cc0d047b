/** The numbers of a file or folder, by which it is known under every path. */
export interface Identified<Number extends number | bigint> {
  readonly dev: Number
  readonly ino: Number
}

/** The identity of a file or folder as a text; undefined where none was found. */
export function identityOf(found: Identified<number | bigint>): string
export function identityOf(found: Identified<number | bigint> | undefined): string | undefined
export function identityOf(found: Identified<number | bigint> | undefined): string | undefined {
  return found === undefined ? undefined : `${found.dev}:${found.ino}`
}

/** Whether both are one file or folder; not where the other was not found. */
export function isSameFile<Number extends number | bigint>(
  one: Identified<Number>,
  other: Identified<Number> | undefined
): boolean {
  return one.dev === other?.dev && one.ino === other.ino
}

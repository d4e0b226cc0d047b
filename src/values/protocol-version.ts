/** Versions of what our relays and agents say to one another. Neighbours whose ranges meet work together. */
export interface VersionRange {
  readonly oldest: number
  readonly newest: number
}

/**
 * The protocol versions of this program. A change that the former version would misunderstand makes a new one; what
 * it merely leaves out or passes over (a further member, header or route) does not.
 *
 * 2: what the lower side of a link signs names the certificate by which it knows the upper one.
 */
export const PROTOCOL_VERSIONS: VersionRange = { oldest: 1, newest: 2 }

/** The versions of links: the proof of version 1 says less, so it is not taken. */
export const LINK_VERSIONS: VersionRange = { oldest: 2, newest: 2 }

/** The versions of a Treeline relay that states none. */
export const FIRST_VERSIONS: VersionRange = { oldest: 1, newest: 1 }

/** The newest version that both know; undefined when there is none. */
export function commonVersion(a: VersionRange, b: VersionRange): number | undefined {
  const newest = Math.min(a.newest, b.newest)
  return newest >= Math.max(a.oldest, b.oldest) ? newest : undefined
}

/** `1-2`, for a header. */
export function formatVersions({ oldest, newest }: VersionRange): string {
  return `${oldest}-${newest}`
}

/** @returns undefined for anything but what {@link formatVersions} gives */
export function parseVersions(text: string): VersionRange | undefined {
  const [, oldest, newest] = /^(\d{1,6})-(\d{1,6})$/.exec(text) ?? []
  return oldest === undefined || newest === undefined ? undefined : { oldest: Number(oldest), newest: Number(newest) }
}

/** The message for a user where {@link commonVersion} finds none. */
export function describeMismatch(who: string, theirs: VersionRange, own: VersionRange): string {
  return `${who} speaks versions ${showRange(theirs)} of the protocol, this one ${showRange(own)}: update the older`
}

function showRange({ oldest, newest }: VersionRange): string {
  return `${oldest} to ${newest}`
}

import { isDeepStrictEqual } from 'node:util'
import { parse } from 'smol-toml'

/** The section that names the policy server: in `main.conf`, and in `agent.conf`. */
export type UpstreamSection = 'output.upstream' | 'upstream'

const HOST_LINE = /^(\s*host\s*=\s*)(?:"[^"\\]*"|'[^']*')(\s*(?:#.*)?)$/

/**
 * Replaces the address of the policy server in the text of a configuration file, and nothing else.
 * @param host `host:port`
 * @throws {Error} when it stands there in a way that cannot be replaced for certain
 */
export function replaceUpstreamHost(toml: string, section: UpstreamSection, host: string): string {
  const lines = toml.split('\n')
  const heading = lines.findIndex(line => headingOf(line) === section)
  const next = lines.findIndex((line, index) => index > heading && headingOf(line) !== undefined)
  const end = next === -1 ? lines.length : next
  const at = lines.findIndex((line, index) => index > heading && index < end && HOST_LINE.test(line))
  if (heading === -1 || at === -1) throw new Error(`there is no line host = "…" in a section [${section}]`)
  // a function: what it gives is not searched for $
  lines[at] = (lines[at] ?? '').replace(HOST_LINE, (_, before, after) => `${before}${JSON.stringify(host)}${after}`)
  const changed = lines.join('\n')
  if (isOnlyHostChanged(toml, changed, section, host)) return changed
  throw new Error(`[${section}] host cannot be told from what else is in the file`)
}

function headingOf(line: string): string | undefined {
  return /^\s*\[\s*([\w.\s-]+?)\s*\]\s*(?:#.*)?$/.exec(line)?.[1]?.replaceAll(/\s/g, '')
}

/** By what the texts mean: a line may be part of another value. */
function isOnlyHostChanged(before: string, after: string, section: UpstreamSection, host: string): boolean {
  const expected: Record<string, unknown> = parse(before)
  let table = expected
  for (const name of section.split('.')) {
    const inner = table[name]
    if (typeof inner !== 'object' || inner === null) return false
    table = inner as Record<string, unknown>
  }
  table.host = host
  return isDeepStrictEqual(parse(after), expected)
}

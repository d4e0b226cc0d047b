import { isDeepStrictEqual } from 'node:util'
import { parse } from 'smol-toml'

/** The section that names the policy server: in `main.conf`, and in `agent.conf`. */
export type UpstreamSection = 'output.upstream' | 'upstream'

const HOST_LINE = /^(\s*host\s*=\s*)(?:"[^"\\]*"|'[^']*')(\s*(?:#.*)?)$/
const NODE_ID_LINE = /^(\s*node_id\s*=\s*)(?:"[^"\\]*"|'[^']*')(\s*(?:#.*)?)$/

/** The name of the policy server in a configuration file. */
export interface UpstreamName {
  /** `host:port` */
  readonly host: string
  /** Undefined: as it is. */
  readonly nodeId?: string | undefined
}

/**
 * Replaces the address of the policy server, and its id, in the text of a configuration file, and nothing else.
 * @throws {Error} when it stands there in a way that cannot be replaced for certain
 */
export function replaceUpstreamHost(toml: string, section: UpstreamSection, upstream: UpstreamName): string {
  const lines = toml.split('\n')
  const heading = lines.findIndex(line => headingOf(line) === section)
  const next = lines.findIndex((line, index) => index > heading && headingOf(line) !== undefined)
  const end = next === -1 ? lines.length : next
  const find = (form: RegExp) => lines.findIndex((line, index) => index > heading && index < end && form.test(line))
  const at = find(HOST_LINE)
  const idAt = find(NODE_ID_LINE)
  if (heading === -1 || at === -1) throw new Error(`there is no line host = "…" in a section [${section}]`)
  const { host, nodeId } = upstream
  lines[at] = replaceValue(lines[at], HOST_LINE, host)
  if (nodeId !== undefined) {
    if (idAt !== -1) lines[idAt] = replaceValue(lines[idAt], NODE_ID_LINE, nodeId)
    else
      lines[at] +=
        `\n${/^\s*/.exec(lines[at] ?? '')?.[0]}node_id = ${JSON.stringify(nodeId)}${toml.includes('\r\n') ? '\r' : ''}`
  }
  const changed = lines.join('\n')
  const isSure = canParse(changed) && isOnlyThatChanged(toml, changed, section, upstream)
  if (isSure) return changed
  throw new Error(`[${section}] host cannot be told from what else is in the file`)
}

function replaceValue(line = '', form: RegExp, value: string): string {
  // a function: what it gives is not searched for $
  return line.replace(form, (_, before, after) => `${before}${JSON.stringify(value)}${after}`)
}

function headingOf(line: string): string | undefined {
  return /^\s*\[\s*([\w.\s-]+?)\s*\]\s*(?:#.*)?$/.exec(line)?.[1]?.replaceAll(/\s/g, '')
}

function canParse(toml: string): boolean {
  try {
    parse(toml)
    return true
  } catch {
    return false
  }
}

/** Compares the texts by their meaning: a line may be part of another value. */
function isOnlyThatChanged(
  before: string,
  after: string,
  section: UpstreamSection,
  { host, nodeId }: UpstreamName
): boolean {
  const expected: Record<string, unknown> = parse(before)
  let table = expected
  for (const name of section.split('.')) {
    const inner = table[name]
    if (typeof inner !== 'object' || inner === null) return false
    table = inner as Record<string, unknown>
  }
  table.host = host
  if (nodeId !== undefined) table.node_id = nodeId
  return isDeepStrictEqual(parse(after), expected)
}

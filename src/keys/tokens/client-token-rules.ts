import { formatTokenScope, parseTokenScope, SCOPE_RULE, type TokenScope } from './token-scope.js'

/** A line of `tokens.clients_file`: a right of a token's holder. */
export interface ClientTokenRule {
  readonly scope: TokenScope
  /** SHA-256 of the token in hex, lower case. */
  readonly hash: string
}

const LINE = /^(\S+)\s+(?:sha256:)?([0-9a-f]{64})$/i

/**
 * @param text lines `<scope> <SHA-256 of the token in hex>`; empty ones and those that begin with `#` say nothing
 * @throws {Error} naming the first line that is wrong; never with what stands in it, which may be a token
 */
export function parseClientTokens(text: string): ClientTokenRule[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const content = line.trim()
    if (content === '' || content.startsWith('#')) return []
    const [, scopeText = '', hash = ''] = LINE.exec(content) ?? []
    if (hash === '') throw new Error(`line ${index + 1}: expected "<scope> <SHA-256 of the token in hex>"`)
    const scope = parseTokenScope(scopeText)
    if (scope === undefined) throw new Error(`line ${index + 1}: a scope is ${SCOPE_RULE}`)
    return [{ scope, hash: hash.toLowerCase() }]
  })
}

/** The line of a rule, without a line end. */
export function formatClientToken({ scope, hash }: ClientTokenRule): string {
  return `${formatTokenScope(scope)} ${hash}`
}

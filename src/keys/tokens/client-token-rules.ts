import { CLIENT_KEY_RULE, isClientKey } from './client-key.js'

/** The right of a token's holder: to register under one client key. */
export interface ClientTokenRule {
  readonly clientKey: string
  /** SHA-256 of the token. */
  readonly hash: Buffer
}

const LINE = /^register:(\S+)\s+(?:sha256:)?([0-9a-f]{64})$/i

/**
 * @param text lines `register:<key> <SHA-256 of the token in hex>`; empty ones and those that begin with `#` say nothing
 * @throws {Error} naming the first line that is wrong; never with what stands in it, which may be a token
 */
export function parseClientTokens(text: string): ClientTokenRule[] {
  return text.split(/\r?\n/).flatMap((line, index) => {
    const content = line.trim()
    if (content === '' || content.startsWith('#')) return []
    const [, clientKey = '', hash = ''] = LINE.exec(content) ?? []
    if (hash === '') {
      throw new Error(`line ${index + 1}: expected "register:<client key> <SHA-256 of the token in hex>"`)
    }
    if (!isClientKey(clientKey)) throw new Error(`line ${index + 1}: a client key has ${CLIENT_KEY_RULE}`)
    return [{ clientKey, hash: Buffer.from(hash, 'hex') }]
  })
}

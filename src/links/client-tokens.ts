import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { CLIENT_KEY_RULE, isClientKey } from '../values/client-key.js'
import type { Logger } from '../values/logger.js'

/** Shorter ones can be guessed. */
export const MIN_CLIENT_TOKEN_LENGTH = 16
const MAX_FILE_BYTES = 1024 * 1024

/** What the holder of a token may do: here, register under one client key. */
interface TokenRule {
  readonly clientKey: string
  /** SHA-256 of the token. */
  readonly hash: Buffer
}

/** The tokens that clients register with, by their hashes: whoever reads the file cannot use it. */
export interface ClientTokens {
  /** In constant time, whatever the token. */
  allows(clientKey: string, token: string): boolean
}

const LINE = /^register:(\S+)\s+(?:sha256:)?([0-9a-f]{64})$/i

/**
 * @param text lines `register:<key> <SHA-256 of the token in hex>`; empty ones and those that begin with `#` say nothing
 * @throws {Error} naming the first line that is wrong; never with what stands in it, which may be a token
 */
export function parseClientTokens(text: string): TokenRule[] {
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

/**
 * Reads the file again whenever it has changed; one that is broken meanwhile changes nothing, and is logged.
 * @throws {Error} when it cannot be used at first
 */
export function openClientTokens(file: string, logger: Logger): ClientTokens {
  let rules = readRules(file)
  let seen = stampOf(file)

  function renew(): void {
    const stamp = stampOf(file)
    if (stamp === seen) return
    seen = stamp
    try {
      rules = readRules(file)
    } catch (error) {
      logger.error({ err: error }, 'tokens.clients_file cannot be used: the tokens stay as they were')
    }
  }

  return {
    allows(clientKey, token) {
      renew()
      const shown = createHash('sha256').update(token).digest()
      let isAllowed = false
      for (const rule of rules) {
        if (timingSafeEqual(shown, rule.hash) && rule.clientKey === clientKey) isAllowed = true
      }
      return isAllowed && token.length >= MIN_CLIENT_TOKEN_LENGTH
    }
  }
}

function readRules(file: string): TokenRule[] {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`)
    return parseClientTokens(readFileSync(file, 'utf8'))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`tokens.clients_file ${file}: ${why}`, { cause })
  }
}

/** Differs once the file was written or replaced. */
function stampOf(file: string): string {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? '' : [stat.mtimeMs, stat.ctimeMs, stat.size, stat.ino].join(' ')
}

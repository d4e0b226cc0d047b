import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { withoutByteOrderMark } from '../values/byte-order-mark.js'
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

/** How often it is looked whether the file has changed while nobody registers. */
const LOOK_EVERY_MS = 500

/** The tokens that clients register with, by their hashes: whoever reads the file cannot use it. */
export interface ClientTokens {
  /** In constant time, whatever the token. @returns the SHA-256 of the token where it is allowed */
  admit(clientKey: string, token: string): Buffer | undefined
  /** Whether the token with this hash, which was admitted once, would be admitted still. */
  isListed(clientKey: string, hash: Buffer): boolean
  /** No longer looks at the file by itself. */
  close(): void
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
 * Reads the file again whenever it has changed; one that is broken meanwhile changes nothing, and is logged. The caller
 * closes it.
 * @param onChange called after other tokens have come into force
 * @throws {Error} when it cannot be used at first
 */
export function openClientTokens(file: string, logger: Logger, onChange: () => void): ClientTokens {
  let seen = stampOf(file)
  let rules = readRules(file) // after its stamp: what changes in between is read again

  function renew(): void {
    const stamp = stampOf(file)
    if (stamp === seen) return
    seen = stamp
    try {
      rules = readRules(file)
    } catch (error) {
      logger.error({ err: error }, 'tokens.clients_file cannot be used: the tokens stay as they were')
      return
    }
    onChange()
  }

  function isListed(clientKey: string, hash: Buffer): boolean {
    let isAllowed = false
    for (const rule of rules) {
      if (timingSafeEqual(hash, rule.hash) && rule.clientKey === clientKey) isAllowed = true
    }
    return isAllowed
  }

  // by its dates: what tells of changes at once loses track of a file that is replaced
  const timer = setInterval(renew, LOOK_EVERY_MS).unref()
  return {
    admit(clientKey, token) {
      renew()
      const hash = createHash('sha256').update(token).digest()
      return isListed(clientKey, hash) && token.length >= MIN_CLIENT_TOKEN_LENGTH ? hash : undefined
    },
    isListed,
    close: () => clearInterval(timer)
  }
}

function readRules(file: string): TokenRule[] {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`)
    return parseClientTokens(withoutByteOrderMark(readFileSync(file, 'utf8')))
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`tokens.clients_file ${file}: ${why}`, { cause })
  }
}

/** Differs once the file was written or replaced; empty where it cannot be seen, of which reading it tells. */
function stampOf(file: string): string {
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(file)
    return [mtimeMs, ctimeMs, size, ino].join(' ')
  } catch {
    return ''
  }
}

import { createHash, timingSafeEqual } from 'node:crypto'
import { statSync } from 'node:fs'
import { readTextFileSync } from '../../../file-system/files/text-file.js'
import { type ClientTokenRule, parseClientTokens } from '../../../keys/tokens/client-token-rules.js'
import { whyNotRead } from '../../../values/failures/file-failure.js'
import { errorMessage } from '../../../values/failures/system-error.js'
import type { Logger } from '../../../values/logging/logger.js'

/** The shortest token; shorter ones can be guessed. */
export const MIN_CLIENT_TOKEN_LENGTH = 16
const MAX_FILE_BYTES = 1024 * 1024

/** How often it is looked whether the file has changed while nobody registers. */
const LOOK_EVERY_MS = 500

/** The tokens that clients register with, by their hashes: whoever reads the file cannot use it. */
export interface ClientTokens {
  /** Checks a token, in constant time for every token. @returns the SHA-256 of the token where it is allowed */
  admit(clientKey: string, token: string): Buffer | undefined
  /** Whether the token with this hash, which was admitted once, would be admitted still. */
  isListed(clientKey: string, hash: Buffer): boolean
  /** No longer looks at the file by itself. */
  close(): void
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
      const reason = errorMessage(error) // names the file
      logger.error({ reason }, 'cannot use tokens.clients_file; the former tokens stay in force')
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

function readRules(file: string): ClientTokenRule[] {
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`)
    return parseClientTokens(readTextFileSync(file))
  } catch (cause) {
    throw new Error(`tokens.clients_file ${file}: ${whyNotRead(cause)}`, { cause })
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

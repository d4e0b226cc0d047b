import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import type { Config } from '../../config/config.js'
import { readConfiguredTextSync, readTextFileSync } from '../../file-system/files/text-file.js'
import { MIN_TOKEN_LENGTH } from '../../keys/tokens/admin-token.js'
import { type ClientTokenRule, parseClientTokens } from '../../keys/tokens/client-token-rules.js'
import { NO_SCOPES, type TokenRight } from '../../keys/tokens/token-right.js'
import type { TokenScope } from '../../keys/tokens/token-scope.js'
import { whyNotRead } from '../../values/failures/file-failure.js'
import { errorMessage } from '../../values/failures/system-error.js'
import type { Logger } from '../../values/logging/logger.js'

const MAX_FILE_BYTES = 1024 * 1024

/** How often it is looked whether the file has changed. */
const LOOK_EVERY_MS = 500

/** The tokens of callers, clients and administrators. */
export interface KnownTokens {
  /** @returns undefined for a token that is not ours, as far as this relay knows */
  find(token: string): TokenRight | undefined
  /** Looks now whether the files have changed. */
  look(): void
  /** @param listener called after other tokens have come into force, and when rights may have ended */
  onChange(listener: () => void): void
  /** No longer looks by itself. */
  close(): void
}

/**
 * Opens the tokens of `tokens.clients_file` and `tokens.admin_file`, which are there by their hashes: nobody who reads the
 * first can use them. The time that it takes to find one tells nothing of tokens: what is compared are hashes, and nobody
 * can choose theirs.
 *
 * Reads `tokens.clients_file` again whenever it has changed; one that is broken meanwhile changes nothing, and is
 * logged. The caller closes it.
 * @throws {Error} when one of the files cannot be used at first
 */
export function openKnownTokens({ adminFile, clientsFile }: Config['tokens'], logger: Logger): KnownTokens {
  const admin = adminFile === undefined ? [] : [readAdminToken(adminFile)]
  const listeners: (() => void)[] = []
  let seen = stampOf(clientsFile)
  let known = byHash(admin, readRules(clientsFile)) // after its stamp: what changes in between is read again

  function look(): void {
    const stamp = stampOf(clientsFile)
    if (stamp === seen) return
    seen = stamp
    try {
      known = byHash(admin, readRules(clientsFile))
    } catch (error) {
      const reason = errorMessage(error) // names the file
      logger.error({ reason }, 'cannot use tokens.clients_file; the former tokens stay in force')
      return
    }
    for (const listener of listeners) listener()
  }

  // by its dates: what tells of changes at once loses track of a file that is replaced
  const timer = clientsFile === undefined ? undefined : setInterval(look, LOOK_EVERY_MS).unref()
  return {
    find(token) {
      if (token.length < MIN_TOKEN_LENGTH) return undefined
      const hash = sha256(token)
      if (!known.has(hash)) return undefined
      return { scopes: () => known.get(hash) ?? NO_SCOPES, whyNot: () => undefined } // of the tokens as they are then
    },
    look,
    onChange: listener => void listeners.push(listener),
    close: () => clearInterval(timer)
  }
}

function readAdminToken(file: string): ClientTokenRule {
  const token = readConfiguredTextSync('tokens.admin_file', file).trim()
  if (token.length >= MIN_TOKEN_LENGTH) return { scope: { kind: 'admin' }, hash: sha256(token) }
  throw new Error(`tokens.admin_file ${file}: a token has at least ${MIN_TOKEN_LENGTH} characters`)
}

function readRules(file: string | undefined): ClientTokenRule[] {
  if (file === undefined) return []
  try {
    if (statSync(file).size > MAX_FILE_BYTES) throw new Error(`it is larger than ${MAX_FILE_BYTES} bytes`)
    return parseClientTokens(readTextFileSync(file))
  } catch (cause) {
    throw new Error(`tokens.clients_file ${file}: ${whyNotRead(cause)}`, { cause })
  }
}

function byHash(...rules: readonly ClientTokenRule[][]): Map<string, readonly TokenScope[]> {
  const scopes = new Map<string, TokenScope[]>()
  for (const { hash, scope } of rules.flat()) {
    const before = scopes.get(hash)
    if (before === undefined) scopes.set(hash, [scope])
    else before.push(scope)
  }
  return scopes
}

/** Differs once the file was written or replaced; empty where it cannot be seen, of which reading it tells. */
function stampOf(file: string | undefined): string {
  if (file === undefined) return ''
  try {
    const { mtimeMs, ctimeMs, size, ino } = statSync(file)
    return [mtimeMs, ctimeMs, size, ino].join(' ')
  } catch {
    return ''
  }
}

function sha256(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

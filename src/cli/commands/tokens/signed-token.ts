import { randomBytes } from 'node:crypto'
import {
  isSignedTokenId,
  MAX_SIGNED_LIFETIME_MS,
  NEW_TOKEN_ID_BYTES,
  readClaims,
  readSignedToken,
  signToken
} from '../../../keys/tokens/signed-token.js'
import { parseTokenSigner, type TokenSigner } from '../../../keys/tokens/token-key.js'
import { formatTokenScope, type TokenScope } from '../../../keys/tokens/token-scope.js'
import { FORM } from '../../../network/header-names.js'
import { asObject } from '../../../relay-client/json-answer.js'
import { apiPath } from '../../../relay-client/relay-client.js'
import { errorMessage } from '../../../values/failures/system-error.js'
import { isoTime } from '../../../values/time/iso-time.js'
import { UsageError } from '../../command-error.js'
import { type ServerOptions, withClient } from '../../options/connection-options.js'
import { readSecretFile } from '../../options/secret-file.js'
import { readDuration } from '../../options/time-option.js'
import { cell, printJson, showTime } from '../../output/table.js'
import { readScope, SCOPED_TOKEN_LENGTH } from './scoped-token.js'

export interface SignedTokenOptions extends ServerOptions {
  readonly scope: readonly string[]
  readonly ttl: string
  readonly signWith?: string
  readonly keyId?: string
  readonly json?: boolean
}

/** Has the root sign a token, or signs it here with a private key. It is printed once, and kept nowhere. */
export async function createSignedToken(options: SignedTokenOptions): Promise<void> {
  const scopes = [...new Set(options.scope)].map(readScope)
  const lifetimeMs = readDuration('--ttl', options.ttl, 1_000, MAX_SIGNED_LIFETIME_MS)
  if (options.signWith === undefined) return askRoot(options, scopes, lifetimeMs)
  if (options.keyId !== undefined) throw new UsageError('--key-id is for the keys of the root, and not for --sign-with')
  const signer = await readSigner(options.signWith)
  const nowMs = Date.now()
  const content = {
    id: randomBytes(NEW_TOKEN_ID_BYTES).toString('base64url'),
    scopes,
    nowMs,
    untilMs: nowMs + lifetimeMs
  }
  const token = signToken(signer, content)
  const scope = scopes.map(formatTokenScope).join(' ')
  print({ id: content.id, token, key: signer.key.id, scope, expires_at: isoTime(content.untilMs) }, options.json)
}

async function askRoot(options: SignedTokenOptions, scopes: readonly TokenScope[], lifetimeMs: number): Promise<void> {
  const form = new URLSearchParams({
    scope: scopes.map(formatTokenScope).join(' '),
    expires_in_ms: String(lifetimeMs),
    ...(options.keyId === undefined ? {} : { key: options.keyId })
  })
  await withClient(options, async client => {
    const answer = await client.json({
      method: 'POST',
      path: 'v1/signed-tokens',
      headers: { 'content-type': FORM },
      body: form.toString()
    })
    print(asObject(answer, 'a token'), options.json)
  })
}

function print(made: Readonly<Record<string, unknown>>, json = false): void {
  if (json) {
    printJson(made)
    return
  }
  console.log(cell(made.token))
  console.error(`for ${cell(made.scope)}, until ${showTime(made.expires_at)}
to end it earlier, at the root: treeline token revoke ${cell(made.id)}`)
}

async function readSigner(file: string): Promise<TokenSigner> {
  const text = await readSecretFile('--sign-with', file)
  try {
    return parseTokenSigner(text)
  } catch (error) {
    throw new UsageError(
      `--sign-with ${file}: ${errorMessage(error)}; it is a file of token-keys in storage.path of the root`
    )
  }
}

/** The id of a signed token that was given whole; undefined for any other text. */
export function idInToken(text: string): string | undefined {
  const unproved = readSignedToken(text)
  const claims = unproved === undefined ? undefined : readClaims(unproved)
  return typeof claims === 'object' ? claims.id : undefined
}

/** Revokes a signed token, or a certificate of a caller. */
export async function revokeSigned(id: string, options: ServerOptions): Promise<void> {
  // it would be told to the whole tree, and it may be the secret itself
  if (id.length === SCOPED_TOKEN_LENGTH) {
    throw new UsageError('this has the form of a token of tokens.clients_file: remove its line from that file instead')
  }
  if (!isSignedTokenId(id)) throw new UsageError(`invalid token id: ${JSON.stringify(id.slice(0, 80))}`)
  await withClient(options, async client => {
    await client.text({ method: 'DELETE', path: apiPath('v1', 'signed-tokens', id) })
  })
}

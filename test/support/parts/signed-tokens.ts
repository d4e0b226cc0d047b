import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { signToken, type TokenContent } from '../../../src/keys/tokens/signed-token.js'
import { makeTokenKey, type TokenSigner, tokenKeyOf, treeAudience } from '../../../src/keys/tokens/token-key.js'
import { parseTokenScope } from '../../../src/keys/tokens/token-scope.js'
import { formatConfirmation } from '../../../src/membership/revocations/list-confirmation.js'
import { ConfirmedFreshness } from '../../../src/membership/revocations/list-freshness.js'
import { RevocationBook } from '../../../src/membership/revocations/revocation-book.js'
import { formatRevocationList, type RevocationList } from '../../../src/membership/revocations/revocation-list.js'
import { makeAuthority, openAuthority } from '../../../src/membership/root/certificate-authority.js'
import { publicKeyOf } from '../../../src/membership/setup/member-folder.js'
import { createSignedTokens } from '../../../src/relay/tokens/signed-tokens.js'
import { silentLogger } from '../../../src/values/logging/logger.js'
import { temporaryFolder } from '../machine/treeline-command.js'

export const GRACE_MS = 3_600_000

/** Makes a key, and its line of the list. */
export function makeSigner(audience: string, algorithm: 'EdDSA' | 'ES256' = 'EdDSA') {
  const privateKey = makeTokenKey(algorithm)
  const key = tokenKeyOf(createPublicKey(privateKey))
  const signer: TokenSigner = { key, privateKey, audience }
  return { signer, listed: { id: key.id, algorithm, publicKey: publicKeyOf(privateKey).toString('base64') } }
}

/** A relay that knows signed tokens by a list of a root, whose clock and whose own running time the test moves. */
export async function startSignedTokens(t: TestContext) {
  const authority = openAuthority(await makeAuthority('Test CA', Date.now()))
  const file = join(await temporaryFolder(t), 'revocations')
  const openBook = () => new RevocationBook({ file, ca: async () => authority.certificate, logger: silentLogger })
  const book = openBook()
  await book.load()
  const clock = { rootMs: Date.UTC(2026, 10, 30), uptimeMs: 1_000_000 }
  const freshness = new ConfirmedFreshness(() => clock.uptimeMs)
  const tokens = createSignedTokens({ book, freshness, offlineGraceMs: GRACE_MS, logger: silentLogger })
  t.after(() => tokens.close())
  const audience = treeAudience(authority.der)
  const first = makeSigner(audience)
  const publish = (change: Partial<RevocationList>) => {
    const { number, entries, keys, tokens: revoked } = book.list
    const list = { number: number + 1, entries, keys, tokens: revoked, ...change }
    return book.take(formatRevocationList(list, text => authority.sign(text)))
  }
  const revoke = (id: string) => publish({ tokens: [...book.list.tokens, { id, untilMs: 1 }] })
  /** Both clocks go on. */
  const pass = (ms: number) => {
    clock.rootMs += ms
    clock.uptimeMs += ms
  }
  const confirm = (tookMs = 0) => {
    const askedAtMs = freshness.now()
    clock.uptimeMs += tookMs
    freshness.confirmed(askedAtMs, { timeMs: clock.rootMs })
  }
  const sign = (content: Partial<TokenContent> & { readonly scope?: string } = {}, by = first.signer) => {
    const scope = parseTokenScope(content.scope ?? 'call:git')
    const scopes = scope === undefined ? [] : [scope]
    const { rootMs } = clock
    return signToken(by, { id: 'an-id-of-a-token', scopes, nowMs: rootMs, untilMs: rootMs + 3_600_000, ...content })
  }
  await publish({ keys: [first.listed] })
  confirm()
  return { authority, audience, book, openBook, tokens, freshness, clock, first, publish, revoke, pass, confirm, sign }
}

/** The answer of the root to a relay with this nonce. */
export function confirmationOf(
  { authority }: Pick<Awaited<ReturnType<typeof startSignedTokens>>, 'authority'>,
  nonce: string,
  number: number,
  timeMs: number
): string {
  return formatConfirmation(nonce, { number, timeMs }, text => authority.sign(text))
}

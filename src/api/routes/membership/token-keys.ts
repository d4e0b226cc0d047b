import { isSignedTokenId } from '../../../keys/tokens/signed-token.js'
import { TOKEN_ALGORITHMS, type TokenAlgorithm } from '../../../keys/tokens/token-key.js'
import { formatTokenScope, parseTokenScope, SCOPE_RULE, type TokenScope } from '../../../keys/tokens/token-scope.js'
import type { TokenKeys } from '../../../membership/root/token-keys.js'
import { FORM } from '../../../network/header-names.js'
import { RelayError } from '../../../values/failures/relay-error.js'
import { isoTime } from '../../../values/time/iso-time.js'
import { type Routes, Type } from '../../schema.js'
import type { Services } from '../../services.js'

const tags = ['membership']
const consumes = [FORM]
/** The callers that make keys and tokens: somebody let in by a token must not make others, which would outlast it. */
const making = { access: 'system' } as const
const ending = { access: 'administration' } as const

/** The keys that sign tokens (JWT), and these tokens, at the root. */
export const tokenKeyRoutes: Routes<{ services: Pick<Services, 'tokenKeys'> }> = async (app, { services }) => {
  const tokenKeys = (): TokenKeys => {
    if (services.tokenKeys !== undefined) return services.tokenKeys
    throw new RelayError('DISABLED', 'tokens are signed at the root, with tree.source = "members": ask there')
  }
  await app.register(keyRoutes, { tokenKeys })
  await app.register(signedTokenRoutes, { tokenKeys })
}

interface KeysOptions {
  /** @throws {RelayError} DISABLED where there are none */
  readonly tokenKeys: () => TokenKeys
}

const keyRoutes: Routes<KeysOptions> = async (app, { tokenKeys }) => {
  const Key = { id: Type.String({ description: 'kid' }), algorithm: Type.String({ description: 'EdDSA or ES256' }) }
  app.get(
    '/v1/token-keys',
    {
      config: ending,
      schema: {
        tags,
        summary: 'The keys that sign tokens, the oldest first, and the name of the tree in the claim aud',
        response: {
          200: Type.Object({
            audience: Type.String(),
            keys: Type.Array(
              Type.Object({ ...Key, can_sign: Type.Boolean({ description: 'whether its private part is here' }) })
            )
          })
        }
      }
    },
    async () => {
      const keys = await tokenKeys().list()
      const shown = keys.map(({ id, algorithm, canSign }) => ({ id, algorithm, can_sign: canSign }))
      return { audience: tokenKeys().audience, keys: shown }
    }
  )

  app.post(
    '/v1/token-keys',
    {
      config: making,
      schema: {
        tags,
        consumes,
        summary: 'Make a key that signs tokens',
        body: Type.Object({ algorithm: Type.String({ description: 'EdDSA or ES256' }) }),
        response: { 200: Type.Object(Key) }
      }
    },
    async ({ body }) => {
      const { id, algorithm } = await tokenKeys().create(readAlgorithm(body.algorithm))
      return { id, algorithm }
    }
  )

  app.delete(
    '/v1/token-keys/:keyId',
    {
      config: ending,
      schema: {
        tags,
        summary: 'Retire a key: all of its tokens are refused',
        params: Type.Object({ keyId: Type.String() }),
        response: { 204: Type.Null() }
      }
    },
    async ({ params }, reply) => {
      await tokenKeys().retire(params.keyId.slice(0, 80))
      return reply.code(204).send(null)
    }
  )
}

const signedTokenRoutes: Routes<KeysOptions> = async (app, { tokenKeys }) => {
  app.post(
    '/v1/signed-tokens',
    {
      config: making,
      schema: {
        tags,
        consumes,
        summary: 'Sign a token for clients or callers of services',
        body: Type.Object({
          scope: Type.String({ description: 'scopes, with blanks between them' }),
          expires_in_ms: Type.Integer({ minimum: 1_000 }),
          key: Type.Optional(Type.String({ description: 'kid; the newest key unless given' }))
        }),
        response: {
          200: Type.Object({
            id: Type.String({ description: 'jti' }),
            token: Type.String(),
            key: Type.String(),
            scope: Type.String(),
            expires_at: Type.Time()
          })
        }
      }
    },
    async ({ body }) => {
      const scopes = readScopes(body.scope)
      const { id, token, keyId, untilMs } = await tokenKeys().sign(scopes, body.expires_in_ms, body.key)
      return { id, token, key: keyId, scope: scopes.map(formatTokenScope).join(' '), expires_at: isoTime(untilMs) }
    }
  )

  app.delete(
    '/v1/signed-tokens/:tokenId',
    {
      config: ending,
      schema: {
        tags,
        summary: 'Revoke a signed token by its jti, or a certificate of a caller by its SHA-256 in hex',
        params: Type.Object({ tokenId: Type.String() }),
        response: { 204: Type.Null() }
      }
    },
    async ({ params: { tokenId } }, reply) => {
      if (!isSignedTokenId(tokenId)) {
        const shown = JSON.stringify(tokenId.slice(0, 80))
        throw new RelayError('INVALID_INPUT', `invalid token id: ${shown}; it has 16 to 64 letters, digits, _ and -`)
      }
      await tokenKeys().revoke(tokenId)
      return reply.code(204).send(null)
    }
  )
}

function readAlgorithm(text: string): TokenAlgorithm {
  const algorithm = TOKEN_ALGORITHMS.find(name => name === text)
  if (algorithm !== undefined) return algorithm
  const shown = JSON.stringify(text.slice(0, 80))
  throw new RelayError('INVALID_INPUT', `invalid algorithm: ${shown}; ${TOKEN_ALGORITHMS.join(' or ')}`)
}

/** @throws {RelayError} INVALID_INPUT */
function readScopes(text: string): TokenScope[] {
  const texts = [...new Set(text.split(' ').filter(one => one !== ''))]
  const scopes = texts.map(one => {
    const scope = parseTokenScope(one)
    if (scope !== undefined) return scope
    throw new RelayError('INVALID_INPUT', `invalid scope: ${JSON.stringify(one.slice(0, 200))}; expected ${SCOPE_RULE}`)
  })
  if (scopes.length > 0) return scopes
  throw new RelayError('INVALID_INPUT', `a token needs a scope: ${SCOPE_RULE}`)
}

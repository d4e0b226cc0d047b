import { mayRegister } from '../../keys/tokens/token-scope.js'
import type { Admission } from '../../links/upper/accepting/link-acceptor.js'
import type { LinkRegistry } from '../../links/upper/link-registry.js'
import type { LinkOwner } from '../../links/upper/upper-link.js'
import type { ClientProof } from '../../links/wire/challenge.js'
import { CLOSE } from '../../links/wire/protocol.js'
import { MAX_KEYS, type ServiceKeys } from '../../services/keys/service-keys.js'
import type { Logger } from '../../values/logging/logger.js'
import type { KnownTokens } from './known-tokens.js'

export interface ClientAdmissionOptions {
  /** Undefined where the relay takes no clients. */
  readonly tokens: Pick<KnownTokens, 'find' | 'scopesOf' | 'look' | 'onChange'> | undefined
  readonly registry: LinkRegistry
  readonly keys: Pick<ServiceKeys, 'hasRoomFor'>
  readonly logger: Pick<Logger, 'info'>
}

/** Admits clients by a token for their key, and closes the links of those whose token was removed. */
export function createClientAdmission(options: ClientAdmissionOptions): (client: ClientProof) => Admission {
  const { tokens, registry, keys, logger } = options
  if (tokens === undefined) return () => ({ refused: 'this relay takes no clients: tokens.clients_file is not set' })
  /** The hash of the token that each came with. */
  const shown = new WeakMap<LinkOwner, string>()
  tokens.onChange(() => {
    for (const link of registry.all()) {
      const hash = shown.get(link.owner)
      if (hash === undefined || mayRegister(tokens.scopesOf(hash), link.owner.id)) continue
      logger.info({ id: link.owner.id }, 'client token removed from tokens.clients_file; link closed')
      registry.end(link, CLOSE.removed, 'its token was removed')
    }
  })

  return ({ key, id, token }) => {
    tokens.look() // a new one is known at once
    const hash = tokens.find(token)
    if (hash === undefined || !mayRegister(tokens.scopesOf(hash), key)) {
      return { refused: `the token does not allow to register under ${key}` }
    }
    if (!keys.hasRoomFor(key)) return { refused: `this relay has ${MAX_KEYS} client keys already` }
    const owner = { kind: 'client', id: key, clientId: id } as const
    shown.set(owner, hash)
    return { owner }
  }
}

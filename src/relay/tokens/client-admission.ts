import type { TokenRight } from '../../keys/tokens/token-right.js'
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
  readonly tokens: Pick<KnownTokens, 'find' | 'look' | 'onChange'>
  /** Whether there can be tokens of clients. */
  readonly takesClients: () => boolean
  readonly registry: LinkRegistry
  readonly keys: Pick<ServiceKeys, 'hasRoomFor'>
  readonly logger: Pick<Logger, 'info'>
}

/** Admits clients by a token for their key, and closes the links of those whose token was removed, or has ended. */
export function createClientAdmission(options: ClientAdmissionOptions): (client: ClientProof) => Admission {
  const { tokens, takesClients, registry, keys, logger } = options
  /** The right of the token that each came with. */
  const shown = new WeakMap<LinkOwner, TokenRight>()
  tokens.onChange(() => {
    for (const link of registry.all()) {
      const right = shown.get(link.owner)
      if (right === undefined || mayRegister(right.scopes(), link.owner.id)) continue
      const why = right.whyNot() ?? 'it was removed from tokens.clients_file'
      logger.info({ id: link.owner.id, why }, 'client token is no longer good; link closed')
      registry.end(link, CLOSE.removed, 'its token was removed, or has ended')
    }
  })
  return ({ key, id, token }) => {
    tokens.look() // a new one is known at once
    const right = tokens.find(token)
    if (right === undefined || !mayRegister(right.scopes(), key)) {
      if (!takesClients()) {
        const why = 'tokens.clients_file is not set, and no key signs tokens (`treeline token key create` at the root)'
        return { refused: `this relay takes no clients: ${why}` }
      }
      const why = right?.whyNot()
      return { refused: `the token does not allow to register under ${key}${why === undefined ? '' : `: ${why}`}` }
    }
    if (!keys.hasRoomFor(key)) return { refused: `this relay has ${MAX_KEYS} client keys already` }
    const owner = { kind: 'client', id: key, clientId: id } as const
    shown.set(owner, right)
    return { owner }
  }
}

import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import { openClientTokens } from '../links/upper/accepting/client-tokens.js'
import type { Admission } from '../links/upper/accepting/link-acceptor.js'
import type { LinkRegistry } from '../links/upper/link-registry.js'
import type { LinkOwner } from '../links/upper/upper-link.js'
import type { ClientProof } from '../links/wire/challenge.js'
import { CLOSE } from '../links/wire/protocol.js'
import { MAX_KEYS, type ServiceKeys } from '../services/keys/service-keys.js'

/** Decides which clients register, and closes the links of those whose token was removed. */
export interface ClientAdmission {
  admit(client: ClientProof): Admission
  close(): void
}

/**
 * Admits clients by a token for their key. The file is read again when it changes.
 * @throws {Error} when it cannot be used
 */
export function createClientAdmission(
  { tokens }: Config,
  registry: LinkRegistry,
  keys: Pick<ServiceKeys, 'hasRoomFor'>,
  logger: Logger
): ClientAdmission {
  const { clientsFile } = tokens
  if (clientsFile === undefined) {
    return {
      admit: () => ({ refused: 'this relay takes no clients: tokens.clients_file is not set' }),
      close: () => {}
    }
  }
  /** The hash of the token that each came with. */
  const shown = new WeakMap<LinkOwner, Buffer>()
  const known = openClientTokens(clientsFile, logger, closeRemoved)

  function closeRemoved(): void {
    for (const link of registry.all()) {
      const hash = shown.get(link.owner)
      if (hash === undefined || known.isListed(link.owner.id, hash)) continue
      logger.info({ id: link.owner.id }, 'client token removed from tokens.clients_file; link closed')
      registry.end(link, CLOSE.removed, 'its token was removed')
    }
  }

  return {
    admit({ key, id, token }) {
      const hash = known.admit(key, token)
      if (hash === undefined) return { refused: `the token does not allow to register under ${key}` }
      if (!keys.hasRoomFor(key)) return { refused: `this relay has ${MAX_KEYS} client keys already` }
      const owner = { kind: 'client', id: key, clientId: id } as const
      shown.set(owner, hash)
      return { owner }
    },
    close: () => known.close()
  }
}

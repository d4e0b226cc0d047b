import { dirname, join } from 'node:path'
import type { Config } from '../../config/config.js'
import { readTextFile } from '../../file-system/files/text-file.js'
import { NO_REVOCATIONS, type Revocations } from '../../keys/certificates/revocations.js'
import { RevocationBook } from '../../membership/revocations/revocation-book.js'
import type { Logger } from '../../values/logging/logger.js'

const NAME = 'revocations'

export interface RelayRevocations {
  /** Undefined where no CA of its own tells this relay whom to trust. */
  readonly book: RevocationBook | undefined
  /** The revocations in the book; without one, none. */
  readonly revocations: Revocations
  readonly onRevocation: (listener: () => void) => void
}

/** The list of revoked certificates that this relay judges by: at the root beside the tree, else with its own storage. */
export async function openRevocations(config: () => Config, logger: Logger): Promise<RelayRevocations> {
  const { tree, general, storage } = config()
  const folder = tree.source === 'members' ? dirname(general.nodesListFile) : storage.path
  if (caFileIn(config()) === undefined) {
    return { book: undefined, revocations: NO_REVOCATIONS, onRevocation: () => undefined }
  }
  const ca = async () => readTextFile(caFileIn(config()) ?? '')
  const book = new RevocationBook({ file: join(folder, NAME), ca, logger })
  await book.load()
  return { book, revocations: book, onRevocation: listener => book.onChange(listener) }
}

/** The file of the CA that says whom to trust: the root's own, or that of `general.ca_path`. */
export function caFileIn({ tree, upstream, general }: Config): string | undefined {
  if (tree.source === 'members') return tree.caFile
  return upstream !== undefined && general.peerAuthentication === 'cert_validation' ? general.caPath : undefined
}

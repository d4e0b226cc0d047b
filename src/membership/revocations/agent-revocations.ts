import { join } from 'node:path'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import { readTextFile } from '../../file-system/files/text-file.js'
import type { Logger } from '../../values/logging/logger.js'
import { RevocationBook } from './revocation-book.js'

/**
 * Opens the list of revocations that an agent's policy server handed down last. Undefined where no CA of its own says
 * whom to trust.
 */
export async function openAgentRevocations(config: AgentConfig, logger: Logger): Promise<RevocationBook | undefined> {
  const { caFile, serverCertificateFile } = config.upstream
  if (caFile === undefined || serverCertificateFile !== undefined) return undefined
  const ca = () => readTextFile(caFile)
  const book = new RevocationBook({ file: join(config.storage.path, 'revocations'), ca, logger })
  await book.load()
  return book
}

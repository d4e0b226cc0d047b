import { createHash, X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AgentConfig } from '../../config/agent/agent-config.js'
import { readConfiguredFile } from '../../file-exchange/places/named-file.js'
import type { ServerTls } from '../../relay-client/relay-tls.js'
import { errorMessage } from '../../values/failures/system-error.js'
import { certificateBlocks } from '../../values/keys/pem.js'
import { silentLogger } from '../../values/logger.js'
import { UsageError } from '../command-error.js'

/**
 * The agent's configuration in `directory`, when it is the folder of an agent and of no relay.
 * @param name how the user named it: `--config`
 * @throws {UsageError} naming all that is wrong
 */
export async function readAgentFolder(directory: string | undefined, name: string): Promise<AgentConfig | undefined> {
  if (directory === undefined || existsSync(join(directory, 'main.conf'))) return undefined
  if (!existsSync(join(directory, 'agent.conf'))) return undefined
  const { loadAgentConfig } = await import('../../config/agent/agent-loader.js')
  try {
    return loadAgentConfig(directory)
  } catch (error) {
    throw new UsageError(`${name} ${directory}: ${errorMessage(error)}`, { cause: error })
  }
}

/** How the agent's policy server is reached, and by what it is known: as the agent itself does it. */
export async function policyServerOf(agent: AgentConfig): Promise<{
  readonly server: string
  readonly ca: string | undefined
  readonly pin: readonly string[] | undefined
  readonly revocations: ServerTls['revocations']
}> {
  const { upstream } = agent
  const { host, port, serverCertificateFile, caFile } = upstream
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`
  if (serverCertificateFile === undefined) {
    const { openAgentRevocations } = await import('../../membership/member/agent-revocations.js')
    return {
      server,
      ca: caFile === undefined ? undefined : await readConfiguredFile('upstream.ca_file', caFile),
      pin: undefined,
      revocations: await openAgentRevocations(agent, silentLogger)
    }
  }
  const blocks = certificateBlocks(await readConfiguredFile('upstream.server_certificate_file', serverCertificateFile))
  return { server, ca: undefined, pin: blocks.map(fingerprint), revocations: undefined }
}

function fingerprint(pem: string): string {
  return createHash('sha256').update(new X509Certificate(pem).raw).digest('hex')
}

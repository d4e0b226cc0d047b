import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { loadAgentConfig } from '../../config/agent/agent-loader.js'
import { loadConfig } from '../../config/config-loader.js'
import { replaceUpstreamHost } from '../../config/upstream-host.js'
import { findItself } from '../../file-system/files/if-there.js'
import { makeFolder } from '../../file-system/folders/make-folder.js'
import { hostnamesOf } from '../certificates.js'
import type { JoinAnswer } from '../member-types.js'
import type { MemberKind } from '../members.js'
import { agentConf, formatAddress, LOGGING_CONF, mainConf, type UpstreamText } from '../setup/config-templates.js'
import type { DataFolders } from '../setup/data-folders.js'
import { editFile, readIfThere } from '../setup/edit-files.js'
import { FILES, writeFiles } from '../setup/member-folder.js'
import { systemdUnit, unitName } from '../setup/systemd-unit.js'

/** A relay or node that joined before, and has its configuration in a folder. */
export interface Joined {
  readonly id: string
  /** The host name by which others reach a relay; undefined where its certificate does not say. */
  readonly hostname: string | undefined
  readonly port: number | undefined
  readonly conf: 'main.conf' | 'agent.conf'
}

/** The configuration that is in a folder. */
export async function configurationIn(folder: string): Promise<Joined['conf'] | undefined> {
  for (const name of ['main.conf', 'agent.conf'] as const) {
    if ((await findItself(join(folder, name))) !== undefined) return name
  }
  return undefined
}

/**
 * Reads from a folder who joined, and with which addresses.
 * @throws {Error} when its configuration cannot be read, or is not of one that joined with this folder
 */
export async function readJoined(folder: string, conf: Joined['conf']): Promise<Joined> {
  const { id, files, port } = conf === 'main.conf' ? relayIn(folder) : agentIn(folder)
  for (const [found, name] of files) {
    if (found === join(folder, name)) continue
    throw new Error(
      `${join(folder, conf)} has ${found ?? 'none'} for ${name}, so it was not made by join: choose another --dir, or move it away`
    )
  }
  const pem = await readIfThere(join(folder, FILES.certificate))
  return { id, hostname: pem === undefined ? undefined : nameIn(pem), port, conf }
}

type Found = Pick<Joined, 'id' | 'port'> & { readonly files: readonly (readonly [string | undefined, string])[] }

function relayIn(folder: string): Found {
  const { general } = loadConfig(folder)
  return {
    id: general.nodeId,
    port: general.httpsListen?.port,
    files: [
      [general.httpsCertificateFile, FILES.certificate],
      [general.httpsKeyFile, FILES.tlsKey]
    ]
  }
}

function agentIn(folder: string): Found {
  const { nodeId, certificateFile, keyFile } = loadAgentConfig(folder)
  return {
    id: nodeId,
    port: undefined,
    files: [
      [certificateFile, FILES.certificate],
      [keyFile, FILES.tlsKey]
    ]
  }
}

function nameIn(pem: string): string | undefined {
  try {
    return hostnamesOf(new X509Certificate(pem).raw)[0]
  } catch {
    return undefined // damaged, which may be why it joins again
  }
}

export interface JoinedText {
  readonly folder: string
  readonly listen: string
  readonly port: number
  readonly above: UpstreamText
  readonly data: DataFolders
  readonly agentCommand: string
  readonly program: readonly string[]
  readonly user: string
  /** The configuration of an earlier join in the folder: it stays, but for the policy server. */
  readonly former: Joined['conf'] | undefined
}

/** The command that starts a machine that joined. */
export function commandOf(kind: MemberKind): 'serve' | 'agent' {
  return kind === 'relay' ? 'serve' : 'agent'
}

/** The configuration comes last: a folder that has one is complete. */
export async function writeJoined(answer: JoinAnswer, text: JoinedText): Promise<void> {
  const { folder, above, former, agentCommand, ...rest } = text
  const { id, kind, ca, certificate, policyServer } = answer
  const conf = kind === 'relay' ? 'main.conf' : 'agent.conf'
  const command = commandOf(kind)
  const inFolder = {
    [FILES.ca]: ca,
    [FILES.certificate]: certificate,
    [FILES.policyServer]: policyServer.certificates
  }
  if (former === conf) {
    await writeFiles(folder, inFolder)
    const section = kind === 'relay' ? 'output.upstream' : 'upstream'
    const upstream = { host: formatAddress(above), nodeId: above.nodeId }
    await editFile(join(folder, conf), before => replaceUpstreamHost(before, section, upstream))
    return
  }
  makeFolder(text.data.path)
  const settings = { id, upstream: above, data: text.data, command: agentCommand }
  await writeFiles(folder, {
    ...inFolder,
    [unitName({ command, id })]: systemdUnit({ ...rest, id, command, folder }),
    'logging.conf': LOGGING_CONF
  })
  await writeFiles(folder, { [conf]: kind === 'relay' ? mainConf({ ...rest, ...settings }) : agentConf(settings) })
}

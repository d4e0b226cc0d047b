import {
  findExcluded,
  type PathWriter,
  type UserGroups,
  writersOfOpened
} from '../file-system/permissions/path-writers.js'
import { isPrivileged } from '../file-system/permissions/root.js'
import { writerName } from '../file-system/permissions/writers.js'
import type { AgentConfig } from './agent/agent-config.js'
import { type Config, ConfigError } from './config.js'
import { filesOfServices } from './services/service-files.js'

/** A file that a configuration names, by its setting; undefined where it names none. */
type NamedFile = readonly [setting: string, path: string | undefined]

/**
 * Finds who else may write a configuration that root has open; nobody for any other user, who has no rights to lend.
 * @param fd of `main.conf` or `agent.conf`
 */
export function writersOfConfiguration(fd: number, euid = process.geteuid?.()): PathWriter[] {
  return isPrivileged(euid) ? writersOfOpened(fd) : []
}

/**
 * Refuses each file that another writer of the configuration may not read: root would show or use it on that user's behalf.
 * @param writers of the configuration that was read @param groups of these users
 * @throws {ConfigError} naming each of them
 */
export function refuseWithheld(
  conf: 'main.conf' | 'agent.conf',
  writers: readonly PathWriter[],
  files: readonly NamedFile[],
  groups: UserGroups
): void {
  const problems = files.flatMap(([setting, path]) => {
    const writer = path === undefined ? undefined : findExcluded(path, writers, groups)
    if (writer === undefined) return []
    const who = writerName(writer)
    return [
      `${conf}: ${setting}: ${who} may change this configuration (by ${writer.path}), but may not read ${path} (as far as its mode and the groups of the system tell: not by a group of a unit, nor by an access control list), so root does not use it: let root alone write the configuration, let ${who} read the file, or run this as the user of the service`
    ]
  })
  if (problems.length > 0) throw new ConfigError(problems)
}

/** The files that a relay's configuration has read, but those in which it keeps what it receives. */
export function filesNamedByRelay({
  general,
  tree,
  upstream,
  sharedFolder,
  serviceListeners,
  ownServices,
  services,
  tokens
}: Config): NamedFile[] {
  return [
    ['general.https_certificate_file', general.httpsCertificateFile],
    ['general.https_key_file', general.httpsKeyFile],
    ['general.ca_path', general.caPath],
    ['general.nodes_list_file', general.nodesListFile],
    ['general.nodes_certs_file', general.nodesCertsFile],
    ['tree.ca_file', tree.caFile],
    ['tree.ca_key_file', tree.caKeyFile],
    ['output.upstream.server_certificate_file', upstream?.serverCertificateFile],
    ['shared_folder.path', sharedFolder.path],
    ...serviceListeners.flatMap(({ certificateFile, keyFile }): NamedFile[] => [
      ['service_listener.certificate_file', certificateFile],
      ['service_listener.key_file', keyFile]
    ]),
    ...filesOfServices(ownServices).map(({ key, path }): NamedFile => [key, path]),
    ['services.seal_key_file', services.sealKeyFile],
    ['tokens.admin_file', tokens.adminFile],
    ['tokens.clients_file', tokens.clientsFile]
  ]
}

/** The same of an agent. */
export function filesNamedByAgent(config: AgentConfig): NamedFile[] {
  const { certificateFile, keyFile, signingKeyFile, upstream, share, ownServices } = config
  return [
    ['certificate_file', certificateFile],
    ['key_file', keyFile],
    ['signing_key_file', signingKeyFile === keyFile ? undefined : signingKeyFile],
    ['upstream.server_certificate_file', upstream.serverCertificateFile],
    ['upstream.ca_file', upstream.caFile],
    ...share.map(({ path }): NamedFile => ['agent.share.path', path]),
    ...filesOfServices(ownServices).map(({ key, path }): NamedFile => [key, path])
  ]
}

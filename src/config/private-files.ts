import { join } from 'node:path'
import type { AgentConfig } from './agent/agent-config.js'
import type { Config } from './config.js'
import { filesOfServices } from './services/service-files.js'

/** A file that others must not read, or at least not write, by the setting that names it. */
export interface PrivateFile {
  readonly key: string
  readonly path: string
  /** Whether anyone may read it: it is what is written there that counts. */
  readonly isReadable?: boolean
}

type Listed = Omit<PrivateFile, 'path'> & { readonly path: string | undefined }

/** The files of a relay that others must not read, or whose content decides what the relay does. */
export function privateFilesOfRelay(config: Config): PrivateFile[] {
  const { directory, general, tree, upstream, serviceListeners, ownServices, services, tokens, remoteRun, storage } =
    config
  const isOfMembers = tree.source === 'members'
  const hasPassword = upstream?.password !== undefined
  return present([
    { key: 'general.https_key_file', path: general.httpsKeyFile },
    ...serviceListeners.map(({ keyFile }) => ({ key: 'service_listener.key_file', path: keyFile })),
    ...filesOfServices(ownServices),
    { key: 'tree.ca_key_file', path: isOfMembers ? tree.caKeyFile : undefined },
    { key: 'services.seal_key_file', path: services.sealKeyFile },
    { key: 'tokens.admin_file', path: tokens.adminFile },
    { key: 'the key that signs files,', path: join(directory, 'sign.key') },
    {
      key: hasPassword ? 'output.upstream.password:' : 'the configuration',
      path: join(directory, 'main.conf'),
      isReadable: !hasPassword
    },
    { key: 'tokens.clients_file', path: tokens.clientsFile, isReadable: true }, // hashes of tokens
    { key: 'tree.ca_file', path: isOfMembers ? tree.caFile : undefined, isReadable: true },
    { key: 'general.ca_path', path: general.caPath, isReadable: true },
    { key: 'output.upstream.server_certificate_file', path: upstream?.serverCertificateFile, isReadable: true },
    { key: 'remote_run.command', path: remoteRun.enabled ? remoteRun.command : undefined, isReadable: true },
    { key: 'storage.path:', path: join(storage.path, 'state.db'), isReadable: true }
  ])
}

/** The same for an agent. */
export function privateFilesOfAgent(config: AgentConfig): PrivateFile[] {
  const { directory, keyFile, signingKeyFile, upstream, agent, storage, receive, ownServices } = config
  const commands = receive.map(({ command }) => command?.[0]).filter(command => command?.includes('/')) // others are found in PATH
  return present([
    { key: 'key_file', path: keyFile },
    { key: 'signing_key_file', path: signingKeyFile === keyFile ? undefined : signingKeyFile },
    ...filesOfServices(ownServices),
    { key: 'the configuration', path: join(directory, 'agent.conf'), isReadable: true },
    { key: 'upstream.server_certificate_file', path: upstream.serverCertificateFile, isReadable: true },
    { key: 'upstream.ca_file', path: upstream.caFile, isReadable: true },
    { key: 'agent.command', path: agent.command, isReadable: true },
    ...commands.map(path => ({ key: 'agent.receive: command', path, isReadable: true })),
    { key: 'storage.path:', path: join(storage.path, 'state.db'), isReadable: true }
  ])
}

function present(files: readonly Listed[]): PrivateFile[] {
  return files.flatMap(({ path, ...file }) => (path === undefined ? [] : [{ ...file, path }]))
}

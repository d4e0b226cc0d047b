import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { loadConfig } from '../../../src/config/config-loader.js'
import { composeRelay, type RelayParts } from '../../../src/relay/compose-relay.js'
import { createTree } from '../../../src/tree/tree-service.js'
import { removeFolder } from '../machine/remove-folder.js'

export interface TestRelayParts extends RelayParts {
  readonly folder: string
  close(): Promise<void>
}

const NODES = {
  root: { hostname: 'root.example.test', 'policy-server': 'root', 'key-hash': '' },
  n1: { hostname: 'n1.example.test', 'policy-server': 'root', 'key-hash': '' },
  relay: { hostname: 'relay.example.test', 'policy-server': 'root', 'key-hash': '' },
  n2: { hostname: 'n2.example.test', 'policy-server': 'relay', 'key-hash': '' }
}

/**
 * The parts of a root relay in a folder of its own, real but not listening: what `app.inject` needs.
 * @param settings further lines of `main.conf`, by section
 */
export async function makeRelayParts(
  settings: Readonly<Record<string, readonly string[]>> = {}
): Promise<TestRelayParts> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-parts-'))
  await writeFile(join(folder, 'nodeslist.json'), JSON.stringify(NODES))
  await writeFile(join(folder, 'certs.pem'), '')
  await writeFile(join(folder, 'main.conf'), mainConf(settings))
  await writeFile(join(folder, 'logging.conf'), '[general]\nlevel = "fatal"\n')
  const config = loadConfig(folder)
  const logger = pino({ level: 'silent' })
  const tree = createTree({
    databaseFile: join(folder, 'topology.db'),
    nodesListFile: config.general.nodesListFile,
    nodesCertsFile: config.general.nodesCertsFile,
    selfId: config.general.nodeId,
    logger
  })
  await tree.load()
  const parts = await composeRelay({ config, tree, logger })
  return {
    ...parts,
    folder,
    close: async () => {
      parts.stopping.abort()
      await Promise.all([parts.services.sharedFiles.stop(), parts.services.remoteRuns.stop()])
      await parts.neighbours.close()
      parts.storage.close()
      await tree.close()
      await removeFolder(folder)
    }
  }
}

function mainConf(settings: Readonly<Record<string, readonly string[]>>): string {
  const sections: Record<string, readonly string[]> = {
    general: ['node_id = "root"', 'nodes_list_file = "nodeslist.json"', 'nodes_certs_file = "certs.pem"'],
    shared_files: ['path = "shared-files"'],
    shared_folder: ['path = "shared-folder"'],
    remote_run: ['command = "/bin/echo"', 'use_sudo = false'],
    storage: ['path = "."']
  }
  for (const [name, lines] of Object.entries(settings)) sections[name] = [...(sections[name] ?? []), ...lines]
  return Object.entries(sections)
    .map(([name, lines]) => `[${name}]\n${lines.join('\n')}\n`)
    .join('\n')
}

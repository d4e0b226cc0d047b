import { mkdir, mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { makeRelayTree, type RelaySpec, type RelayTree } from '../../../demo/relay-tree.js'
import { loadConfig } from '../../../src/config/config-loader.js'
import { startRelay } from '../../../src/relay/relay.js'
import { createTree } from '../../../src/tree/tree-service.js'
import type { VersionRange } from '../../../src/values/protocol-version.js'
import { removeFolder } from '../machine/remove-folder.js'

/** The configuration of a tree whose relays are started in this process; its nodes' command says which host ran. */
export async function makeTreeHere(
  t: TestContext,
  relays: readonly RelaySpec[],
  agent = '#!/bin/sh\nfor last do :; done\necho "agent of $last"\n'
): Promise<RelayTree> {
  const folder = await mkdtemp(join(tmpdir(), 'treeline-test-'))
  t.after(() => removeFolder(folder))
  const agentCommand = join(folder, 'agent.sh')
  await writeFile(agentCommand, agent, { mode: 0o755 })
  return makeRelayTree({ folder, relays, agentCommand })
}

/** Starts a relay of `tree` in this process, whole, where what it speaks can be chosen. @returns the messages of its log */
export async function startRelayHere(
  t: TestContext,
  tree: RelayTree,
  id: string,
  options: { readonly versions?: VersionRange } = {}
): Promise<readonly string[]> {
  const messages: string[] = []
  const logger = pino({ level: 'info' }, { write: line => void messages.push(line) })
  const config = loadConfig(tree.relay(id).directory)
  await mkdir(config.storage.path, { recursive: true })
  const service = createTree({
    databaseFile: join(config.storage.path, 'topology.db'),
    nodesListFile: config.general.nodesListFile,
    nodesCertsFile: config.general.nodesCertsFile,
    selfId: id,
    logger
  })
  const relay = await startRelay({ config, tree: service, treeLoaded: service.load(), logger, ...options })
  t.after(async () => {
    await relay.stop()
    await service.close()
  })
  return messages
}

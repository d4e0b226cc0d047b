import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { reloadConfig } from '../../src/config/config-loader.js'
import { ConfigInForce } from '../../src/relay/config-in-force.js'
import { createSystemControl, type SystemControlOptions } from '../../src/relay/system-control.js'
import { silentLogger } from '../../src/values/logging/logger.js'
import { temporaryFolder } from '../support/machine/treeline-command.js'

/** The reloads of a relay whose neighbours take a configuration as `takes` does. */
async function setUp(t: TestContext, takes: (host: string | undefined) => Promise<void>) {
  const folder = await temporaryFolder(t)
  const write = (host: string) =>
    writeFile(
      join(folder, 'main.conf'),
      `[general]\nnode_id = "relay"\n[storage]\npath = "${folder}"\n[output.upstream]\nhost = "${host}"\n`
    )
  await write('before')
  const inForce = new ConfigInForce(await reloadConfig(folder))
  const parts = {
    inForce,
    tree: { reload: async () => ({}), current: () => ({ size: 1 }) },
    certificates: { readPolicyServer: () => () => undefined },
    neighbours: { reload: async (config: ReturnType<ConfigInForce['get']>) => takes(config.upstream?.host) },
    storage: { problem: () => undefined },
    treeSync: undefined,
    configureLogLevel: () => undefined,
    logger: { ...silentLogger }
  }
  const system = createSystemControl(parts as unknown as SystemControlOptions)
  return { folder, write, system, hostInForce: () => inForce.get().upstream?.host }
}

test('of reloads that overlap, the last one stays in force, and so does a policy server that moved', async t => {
  let began: () => void = () => undefined
  const first = new Promise<void>(resolve => {
    began = resolve
  })
  const { folder, write, system, hostInForce } = await setUp(t, async host => {
    if (host !== 'first') return
    began()
    // whatever does not wait for this one overtakes it
    for (let reads = 0; reads < 50; reads += 1) await reloadConfig(folder)
  })
  for (const [later, overlapping] of [
    ['second', () => write('second').then(() => system.reload())],
    ['moved', () => system.moveUpstream({ host: 'moved', port: 443 })]
  ] as const) {
    await write('first')
    const reloading = system.reload()
    await first
    await Promise.all([reloading, overlapping()])
    assert.equal(hostInForce(), later)
  }
})

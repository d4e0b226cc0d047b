import { writeFile } from 'node:fs/promises'
import { createServer, type RequestListener } from 'node:http'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { eventually } from '../eventually.js'
import { ask } from '../network/http.js'
import { openServer } from '../network/open-server.js'
import { clientTokenLine } from './clients.js'
import { startTree } from './relay-tree.js'

const IDS = ['root', 'middle', 'low', 'other']

/**
 * root – middle – low, and a second branch; each has a listener for callers of services.
 * @param key of the client to come @param settings more lines for each `main.conf`, by section
 * @param filesOf the files beside the configuration of a relay, by their names
 */
export async function startServiceTree(
  t: TestContext,
  key = 'git',
  settings: Readonly<Record<string, readonly string[]>> = {},
  filesOf: (id: string) => Readonly<Record<string, string>> = () => ({})
) {
  const byLink = true
  const tree = await startTree(t, {
    relays: [
      { id: 'root', under: 'root', nodes: ['node-r1'] },
      { id: 'middle', under: 'root', nodes: ['node-m1'], byLink },
      { id: 'low', under: 'middle', nodes: ['node-l1'], byLink },
      { id: 'other', under: 'root', nodes: ['node-o1'], byLink }
    ],
    absent: IDS,
    settings: {
      ...settings,
      tokens: ['clients_file = "clients"'],
      services: ['listen = "127.0.0.1:0"', ...(settings.services ?? [])]
    }
  })
  for (const id of IDS) {
    const files = { clients: clientTokenLine(key), ...filesOf(id) }
    for (const [name, text] of Object.entries(files)) {
      await writeFile(join(tree.relay(id).directory, name), text, { mode: 0o600 })
    }
  }
  await Promise.all(IDS.map(id => tree.restart(id)))
  const urlOf = async (id: string) => {
    const line = await tree.processes.get(id)?.logged(text => text.includes('services on http://'))
    return `${/services on (http:[^"]+)/.exec(line ?? '')?.[1]}/v1/relay/${key}`
  }
  const untilKnown = (...paths: readonly string[]) =>
    eventually(paths.join(), async () => {
      const { result } = JSON.parse((await ask(tree.relay('root'), '/v1/relay/clients')).text) as {
        readonly result: readonly { readonly path: readonly string[]; readonly stale_since?: string }[]
      }
      const live = result.filter(({ stale_since: stale }) => stale === undefined)
      return live.map(({ path }) => path.join('>')).join() === paths.join()
    })
  const serve = async (listener: RequestListener) => `http://127.0.0.1:${await openServer(t, createServer(listener))}`
  return { tree, urlOf, untilKnown, serve }
}

import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TreeRelay } from '../../../demo/relay-tree.js'

export interface ListedNode {
  hostname: string
  'policy-server': string
  'key-hash'?: string
}

/** Rewrites a relay's nodes list; the relay reads it when it starts or is told to. */
export async function editNodesList(
  relay: TreeRelay,
  edit: (nodes: Record<string, ListedNode>) => void
): Promise<void> {
  const file = join(relay.directory, 'nodeslist.json')
  const nodes: Record<string, ListedNode> = JSON.parse(await readFile(file, 'utf8'))
  edit(nodes)
  await writeFile(file, JSON.stringify(nodes))
}

/** Rewrites a relay's `main.conf`. */
export async function editConfig(relay: TreeRelay, edit: (text: string) => string): Promise<void> {
  const file = join(relay.directory, 'main.conf')
  await writeFile(file, edit(await readFile(file, 'utf8')))
}

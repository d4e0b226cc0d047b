import { join } from 'node:path'
import { freePorts } from '../../demo/free-ports.js'
import type { ListedNode } from './generate-nodes-list.js'
import { Relay } from './relay.js'
import { listedNode, type RelaySetup } from './relay-folder.js'
import type { RowContext } from './row.js'
import { makeSigner, type Signer } from './sign.js'

/** Nodes of every single relay; `source` signs, `target` gets the files. */
export const SOURCE = 'source'
export const TARGET = 'target'

/** A root with two nodes of its own, plain HTTP, and the key of one of them. */
export async function startSingleRelay(
  context: RowContext,
  options: { readonly nodes?: Readonly<Record<string, ListedNode>> } & Partial<
    Pick<RelaySetup, 'command' | 'cleanupFrequency'>
  > = {}
): Promise<{ relay: Relay; signer: Signer }> {
  const signer = makeSigner()
  const { nodes = {}, ...rest } = options
  const setup = await singleRelaySetup(context, { ...nodes, ...baseNodes(signer) })
  return { relay: await Relay.start({ ...setup, ...rest }, context.cleanup), signer }
}

/** The same, without starting it. */
export async function singleRelaySetup(
  context: RowContext,
  nodes: Readonly<Record<string, ListedNode>>
): Promise<RelaySetup> {
  const [port = 0] = await freePorts(1)
  return { folder: join(context.folder, 'relay'), nodeId: 'root', port, nodes }
}

/** The path of a shared file at a {@link startSingleRelay}. */
export function sharedFilePath(fileId: string, query: string): string {
  return `shared-files/${TARGET}/${SOURCE}/${fileId}?${query}`
}

function baseNodes(signer: Signer): Record<string, ListedNode> {
  return {
    root: listedNode('root.example.com', 'root'),
    [SOURCE]: listedNode('source.example.com', 'root', signer.keyHash),
    [TARGET]: listedNode('target.example.com', 'root')
  }
}

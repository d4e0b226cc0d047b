import type { TestContext } from 'node:test'
import { type RunningTree, type RunningTreeOptions, startTree } from './relay-tree.js'
import { startTextRelay, type TextRelay, type TextRelayOptions } from './text-relay.js'
import { editConfig } from './tree-files.js'

export interface MixedTreeOptions extends RunningTreeOptions {
  /** The relay of the tree that the stand-in for an existing relay takes the place of. */
  readonly textRelay: string
  readonly text?: Partial<TextRelayOptions>
}

/** A tree of real relays, one of which is an existing one that only speaks text. It has the port that is in the others' configurations. */
export async function startMixedTree(
  t: TestContext,
  { textRelay, text = {}, ...options }: MixedTreeOptions
): Promise<{ tree: RunningTree; text: TextRelay }> {
  const ids = (options.relays ?? []).map(({ id }) => id)
  const tree = await startTree(t, { ...options, absent: ids })
  const replaced = tree.relay(textRelay)
  const below = [...tree.members.values()].filter(
    ({ id, policyServer }) => policyServer === textRelay && id !== textRelay
  )
  const above = replaced.policyServer === textRelay ? undefined : tree.relay(replaced.policyServer)
  const started = await startTextRelay(t, {
    id: textRelay,
    certificate: replaced.certificate,
    nodes: new Map(below.map(({ id, certificate }) => [id, certificate.keyHash])),
    ...(above === undefined ? {} : { upperPort: Number(new URL(above.url).port) }),
    ...text
  })
  const { host } = new URL(replaced.url)
  const others = ids.filter(id => id !== textRelay)
  for (const id of others) {
    await editConfig(tree.relay(id), config => config.replaceAll(`"${host}"`, `"127.0.0.1:${started.port}"`))
  }
  await Promise.all(others.map(id => tree.restart(id)))
  return { tree, text: started }
}

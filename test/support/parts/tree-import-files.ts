import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { createTree, type Tree } from '../../../src/tree/tree-service.js'
import { type Logger, silentLogger } from '../../../src/values/logging/logger.js'
import type { TestNode } from './trees.js'

export const TREE: readonly TestNode[] = [
  { id: 'root', policyServer: 'root' },
  { id: 'relay', policyServer: 'root' },
  { id: 'node', policyServer: 'relay' }
]

export interface Files {
  readonly nodesListFile: string
  readonly nodesCertsFile: string
  /** A tree over these files; to be loaded. Closed after the test. */
  open(logger?: Logger, selfId?: string): Tree
}

export function makeFiles(t: TestContext): Files {
  const folder = mkdtempSync(join(tmpdir(), 'treeline-tree-'))
  const trees: Tree[] = []
  t.after(async () => {
    for (const tree of trees) await tree.close()
    rmSync(folder, { recursive: true, force: true })
  })
  const files = { nodesListFile: join(folder, 'nodeslist.json'), nodesCertsFile: join(folder, 'certs.pem') }
  return {
    ...files,
    open(logger = silentLogger, selfId = 'root') {
      const tree = createTree({ databaseFile: join(folder, 'topology.db'), ...files, selfId, logger })
      trees.push(tree)
      return tree
    }
  }
}

// Imports two trees in turn, without end: `import-loop.ts <folder> <node count>`. Says so after each but the first.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openDatabase } from '../../../src/storage/sqlite-engine/database.js'
import { createTopologyStore } from '../../../src/storage/topology/topology-store.js'
import { importTree } from '../../../src/tree/import/import-tree.js'
import { nodesListText } from '../parts/trees.js'

const [folder = '.', count = '1'] = process.argv.slice(2)
const texts = ['a', 'b'].map(name =>
  nodesListText(
    Array.from({ length: Number(count) }, (_, index) => ({
      id: index === 0 ? 'root' : `${name}${index}`,
      policyServer: index < 10 ? 'root' : `${name}${1 + (index % 9)}`,
      hostname: `${name}.example.com`
    }))
  )
)
const nodesListFile = join(folder, 'nodeslist.json')
const store = createTopologyStore(openDatabase(join(folder, 'topology.db'), 'topology'))
for (let round = 0; ; round++) {
  writeFileSync(nodesListFile, texts[round % 2] ?? '')
  importTree(store, { nodesListFile, nodesCertsFile: join(folder, 'none.pem'), selfId: 'root' }, Date.now())
  if (round > 0) process.stdout.write('imported\n')
}

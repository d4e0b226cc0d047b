import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { describeApi } from '../test/support/network/openapi.js'

/** `npm run openapi`: writes `docs/openapi.json` anew from the routes' schemas. */
const file = fileURLToPath(new URL('../docs/openapi.json', import.meta.url))
await writeFile(file, `${JSON.stringify(await describeApi(), null, 2)}\n`)
process.stdout.write(`written: ${file}\n`)

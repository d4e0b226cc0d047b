// Holds a running relay against docs/openapi.json: schemathesis makes up requests from the description, and every answer
// must have a status, a content type and a body that stand there. Called by .ci/run.
//   node scripts/check-api.mjs <schemathesis> [examples for each route]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const CHECKS = [
  'not_a_server_error',
  'content_type_conformance',
  'response_schema_conformance',
  'status_code_conformance'
]
/** The same requests each time: a failure can be looked at. */
const SEED = '7'

const root = join(import.meta.dirname, '..')
const [schemathesis = 'schemathesis', examples = '20'] = process.argv.slice(2)
const folder = mkdtempSync(join(tmpdir(), 'treeline-api-'))
const relay = startRelay()
try {
  const url = await addressOf(relay)
  const options = ['--checks', CHECKS.join(','), '-n', examples, '--seed', SEED, '--request-timeout', '30']
  const phases = ['--phases', 'coverage,fuzzing', '--suppress-health-check', 'all']
  const test = spawn(schemathesis, ['run', join(root, 'docs', 'openapi.json'), '--url', url, ...options, ...phases], {
    cwd: folder,
    stdio: 'inherit'
  })
  const [code] = await once(test, 'exit')
  process.exitCode = code ?? 1
} finally {
  relay.kill('SIGTERM')
  if (relay.exitCode === null) await once(relay, 'exit')
  rmSync(folder, { recursive: true, force: true })
}

function startRelay() {
  const nodes = {
    root: { hostname: 'root.example.com', 'policy-server': 'root' },
    'node-1': { hostname: 'node-1.example.com', 'policy-server': 'root' }
  }
  writeFileSync(join(folder, 'nodeslist.json'), JSON.stringify(nodes))
  writeFileSync(join(folder, 'certificates.pem'), '')
  mkdirSync(join(folder, 'shared-folder'))
  const lines = [
    '[general]',
    'node_id = "root"',
    'listen = "127.0.0.1:0"',
    'nodes_list_file = "nodeslist.json"',
    'nodes_certs_file = "certificates.pem"',
    '[remote_run]',
    'command = "/bin/echo"',
    'use_sudo = false',
    '[shared_files]',
    'path = "shared-files"',
    '[shared_folder]',
    'path = "shared-folder"',
    '[storage]',
    'path = "storage"'
  ]
  writeFileSync(join(folder, 'main.conf'), lines.join('\n'))
  const program = join(root, 'dist', 'treeline', 'main.js')
  return spawn(process.execPath, [program, 'serve', '--config', folder], { stdio: ['ignore', 'pipe', 'inherit'] })
}

/** @returns the address at which it is ready */
async function addressOf({ stdout }) {
  for await (const line of createInterface({ input: stdout })) {
    const { msg, addresses } = JSON.parse(line)
    if (msg !== 'ready') continue
    stdout.resume()
    return addresses[0]
  }
  throw new Error('the relay ended before it was ready')
}

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { chmod, chown, copyFile, mkdir, readFile, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { temporaryFolder } from '../support/machine/treeline-command.js'

const VERSIONS = join(import.meta.dirname, '../../scripts/prepare/versions.mjs')
/** The users that the program runs as, and that builds it. Without root, this user is both. */
const [RUNNER, BUILDER] =
  process.getuid?.() === 0
    ? [
        { uid: 4_242, gid: 4_242 },
        { uid: 4_243, gid: 4_243 }
      ]
    : ([{}, {}] as const)
const HOUR_MS = 3_600_000
/** More than are kept though nobody uses them. */
const MORE = ['c', 'd', 'e', 'f', 'g']

/** A folder that the builder may write to, with what publishes versions beside it. */
async function makePlace(t: TestContext) {
  const folder = await temporaryFolder(t)
  await chmod(folder, 0o755)
  const [module, outdir] = [join(folder, 'versions.mjs'), join(folder, 'program')]
  await copyFile(VERSIONS, module)
  await chmod(module, 0o644)
  await mkdir(outdir)
  if (BUILDER.uid !== undefined) await chown(outdir, BUILDER.uid, BUILDER.gid ?? 0)
  const publish = async (labels: readonly string[]) => {
    const script = `import { mkdirSync, writeFileSync } from 'node:fs'
import { publishVersion } from ${JSON.stringify(module)}
for (const label of ${JSON.stringify(labels)}) {
  await publishVersion(${JSON.stringify(outdir)}, async aside => {
    mkdirSync(aside)
    writeFileSync(aside + '/main.js', 'console.log("ready"); setInterval(() => {}, 1e6) // ' + label)
  })
}`
    const args = ['--input-type=module', '--eval', script]
    const child = spawn(process.execPath, args, { ...BUILDER, cwd: folder, stdio: ['ignore', 'ignore', 'inherit'] })
    assert.deepEqual(await once(child, 'exit'), [0, null])
    const [, name = ''] = /'\.\/([0-9a-f]{16})\/main\.js'/.exec(await readFile(join(outdir, 'main.js'), 'utf8')) ?? []
    return join(outdir, name)
  }
  return { main: join(outdir, 'main.js'), publish }
}

async function setAge(version: string, ms: number): Promise<void> {
  const at = new Date(Date.now() - ms)
  for (const path of [join(version, 'main.js'), version]) await utimes(path, at, at)
}

test('builds by another user leave the version that a process runs, and remove those that were older', async t => {
  const { main, publish } = await makePlace(t)
  const older = await publish(['a'])
  await setAge(older, 2 * HOUR_MS)
  const used = await publish(['b'])
  await setAge(used, HOUR_MS)
  const child = spawn(process.execPath, [main], { ...RUNNER, cwd: '/', stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  await publish(MORE)
  assert.ok(existsSync(used), 'what is in use stays')
  assert.ok(!existsSync(older), 'what nobody can use goes')
})

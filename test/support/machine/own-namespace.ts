import { execFile, spawnSync } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, type TestOptions, test } from 'node:test'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const IS_ROOT = process.geteuid?.() === 0

/** Says what a test that is skipped needs. */
export const AS_ROOT = 'it gives files to other users: that takes root, or newuidmap and a line in /etc/subuid'

/** Maps further users, who are those of /etc/subuid: files can be given to them. */
const WITH_OTHER_USERS = ['--user', '--map-root-user', '--map-auto', '--mount']
const WITH_NETWORKS = ['--user', '--map-root-user', '--mount', '--net']

/**
 * Enters a root folder whose own folders are those of the machine: `/` itself belongs to the root of the namespace, as
 * do the folder for temporary files and `/run`. Elsewhere what belongs to users without a place in the namespace is there
 * as that of user 65534.
 */
const OWN_ROOT = `
set -e
new=$0
mount -t tmpfs -o mode=755 tmpfs "$new"
for path in /*; do
  if [ -L "$path" ]; then cp -P "$path" "$new$path"
  elif [ -d "$path" ]; then mkdir "$new$path"; mount --rbind "$path" "$new$path"
  fi
done
mkdir -m 1777 "$new/own-tmp"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mkdir "$new/run/netns"
exec chroot "$new" sh -c 'cd "$0" && exec "$@"' "$PWD" "$@"
`

function canUnshare(flags: readonly string[]): boolean {
  return process.platform === 'linux' && spawnSync('unshare', [...flags, 'true']).status === 0
}

/**
 * Defines a test that takes root, since it gives files to other users. Whoever is not root has it run by another
 * process, as the root of a namespace.
 */
export function testAsRoot(name: string, body: (t: TestContext) => Promise<void>, options: TestOptions = {}): void {
  test(name, options, async t => {
    if (await ranAsRoot(t)) return
    if (IS_ROOT) await body(t)
    else t.skip(AS_ROOT)
  })
}

/** Runs a test as the root of a namespace that has other users. @returns whether another process has run it */
export function ranAsRoot(t: TestContext): Promise<boolean> {
  return runWithRights(t, WITH_OTHER_USERS)
}

/** Runs a test as the root of a namespace that may make networks. @returns whether another process has run it */
export function ranWithNetworks(t: TestContext): Promise<boolean> {
  return runWithRights(t, WITH_NETWORKS)
}

async function runWithRights(t: TestContext, flags: readonly string[]): Promise<boolean> {
  if (IS_ROOT || !canUnshare(flags)) return false
  const root = await mkdtemp(join(tmpdir(), 'treeline-root-'))
  t.after(() => rm(root, { recursive: true }))
  await runAlone(t, [...flags, 'sh', '-c', OWN_ROOT, root], { TMPDIR: '/own-tmp', HOME: '/own-tmp' })
  return true
}

/** Runs the test alone, in a process that `unshare` starts. @throws {Error} when it fails there */
export async function runAlone(
  t: TestContext,
  unshare: readonly string[],
  environment: NodeJS.ProcessEnv
): Promise<void> {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const pattern = `^${t.name.replaceAll(/[.*+?^${}()|[\]\\/]/g, '\\$&')}$`
  const flags = [...process.execArgv, '--test-reporter=tap', `--test-name-pattern=${pattern}`]
  const { stdout } = await run('unshare', [...unshare, process.execPath, ...flags, process.argv[1] ?? ''], {
    env: { ...env, ...environment },
    maxBuffer: Number.POSITIVE_INFINITY,
    signal: t.signal
  }).catch((error: unknown) => {
    const output: unknown = error instanceof Error && 'stdout' in error ? error.stdout : error
    throw new Error(`it failed in a namespace of its own:\n${output}`)
  })
  if (!/^# pass [1-9]/m.test(stdout)) throw new Error(`it did not run in a namespace of its own:\n${stdout}`)
}

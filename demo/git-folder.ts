import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdir, stat, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { join, normalize } from 'node:path'
import { pipeline } from 'node:stream'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The file of the repository. */
export const README_TEXT = '# project\n\nOnly the machine beside relay-b reaches the server of this repository.\n'

/** A folder with `project.git`, as a web server gives it to Git. */
export interface GitFolder {
  /** The commit at the tip of its branch; undefined without Git: then `project.git` has a README alone. */
  readonly commit: string | undefined
}

/** Makes a repository with one commit. @throws {Error} with what Git says, unless there is no Git */
export async function makeGitFolder(folder: string, signal: AbortSignal): Promise<GitFolder> {
  const [work, bare] = [join(folder, 'work'), join(folder, 'project.git')]
  await mkdir(work, { recursive: true })
  await writeFile(join(work, 'README.md'), README_TEXT)
  const author = ['-c', 'user.name=demo', '-c', 'user.email=demo@localhost', '-c', 'commit.gpgsign=false']
  const git = async (...args: readonly string[]) =>
    (await run('git', [...author, ...args], { cwd: work, signal })).stdout
  try {
    await git('init', '-q')
  } catch (error) {
    if (!isNotThere(error)) throw error
    await mkdir(bare)
    await writeFile(join(bare, 'README.md'), README_TEXT)
    return { commit: undefined }
  }
  await git('add', 'README.md')
  await git('commit', '-q', '--no-verify', '-m', 'A repository of the demo')
  await git('clone', '-q', '--bare', '.', bare)
  await git('-C', bare, 'update-server-info')
  return { commit: (await git('rev-parse', 'HEAD')).trim() }
}

/** Whether a program is not installed. */
function isNotThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}

/** Serves the files of a folder at 127.0.0.1, as Git's oldest protocol over HTTP needs it. The caller closes it. */
export async function serveFolder(folder: string, port: number): Promise<Server> {
  const server = createServer((request, response) => {
    const path = join(folder, normalize(new URL(request.url ?? '/', 'http://localhost').pathname))
    stat(path).then(
      found => {
        if (!found.isFile() || request.method !== 'GET') response.writeHead(404).end()
        else
          pipeline(createReadStream(path), response.writeHead(200, { 'content-length': found.size }), () => undefined)
      },
      () => response.writeHead(404).end()
    )
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject).listen(port, '127.0.0.1', resolve)
  })
  return server
}

/**
 * Takes a secret out of the command line that `ps` shows of this process, for as long as it runs. Every user of the machine
 * can read that one; for a moment at the start it was there nevertheless, and a shell keeps it in its history.
 */
export function hideArgument(secret: string | undefined): void {
  if (secret === undefined || secret === '') return
  // Node writes a title over all arguments of the process
  process.title = ['treeline', ...process.argv.slice(2)].map(text => text.replaceAll(secret, '***')).join(' ')
}

/**
 * The handling of SIGHUP. Its default action is death, also in the moment before a program has set its own handler:
 * so this is what each program imports first, and until it says what to do the signal is only remembered. A command
 * that ends by itself goes on; when its terminal has gone, its next output ends it.
 */

let isAsked = false
let isBusy = false
let reload: (() => Promise<void>) | undefined

process.on('SIGHUP', () => {
  isAsked = true
  void serveHangup() // never rejects
})

/**
 * Sets the work that SIGHUP does from now on. For a signal that came before, the work is done at once; for one that
 * comes during the work, it is done once more.
 * @param work never rejects
 */
export function onHangup(work: () => Promise<void>): void {
  reload = work
  void serveHangup()
}

async function serveHangup(): Promise<void> {
  if (isBusy) return
  isBusy = true
  while (isAsked && reload !== undefined) {
    isAsked = false
    await reload()
  }
  isBusy = false
}

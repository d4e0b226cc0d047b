/** The options of the commands that stay: check the configuration, and do not start. */
export const TEST_OPTION = ['-t, --test', 'check the configuration, print each problem, and exit'] as const
export const STRICT_OPTION = ['--strict', 'with --test: treat warnings as errors'] as const

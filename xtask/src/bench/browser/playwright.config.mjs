// What makes the two comparable: same binary, same workers, nothing written.
export default {
  testMatch: '*.spec.mjs',
  fullyParallel: true,
  workers: Number(process.env.BENCH_WORKERS),
  reporter: './playwright.reporter.mjs',
  use: {
    headless: true,
    launchOptions: { executablePath: process.env.BENCH_BROWSER },
    trace: 'off',
    video: 'off',
    screenshot: 'off',
  },
};

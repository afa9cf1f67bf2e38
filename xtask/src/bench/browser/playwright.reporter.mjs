// Says of each test that it has ended and whether it passed, as the workers without a runner do.
export default class {
  onBegin() {
    console.log('ready');
  }

  onTestEnd(test, result) {
    if (result.error) console.error(test.title, result.error.message);
    const title = test.title.slice(test.title.indexOf(' ') + 1);
    console.log(JSON.stringify({ title, passed: result.status === 'passed' }));
  }
}

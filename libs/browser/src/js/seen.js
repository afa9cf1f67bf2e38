(async () => {
  if (document.readyState !== 'complete') await new Promise((done) => addEventListener('load', done, { once: true }));
  const left = [];
  const see = (what, there) => { if (there) left.push(what); };
  see('another page', document.documentElement?.id !== 'gauntlet-blank' || document.body?.childNodes.length);
  sessionStorage.clear();
  name = '';
  see('session storage', sessionStorage.length);
  see('the name of the window', name);
  see('an opener', opener);
  see('cookies', document.cookie);
  see('local storage', localStorage.length);
  see('IndexedDB', (await indexedDB.databases()).length);
  if (self.caches) see('caches', (await caches.keys()).length);
  const workers = navigator.serviceWorker;
  if (workers) see('service workers', workers.controller || (await workers.getRegistrations()).length);
  for (const name of PERMISSIONS) see(`the permission ${name}`, (await navigator.permissions.query({ name })).state === 'granted');
  if (navigator.storage?.getDirectory) {
    for await (const file of (await navigator.storage.getDirectory()).keys()) see(`the file ${file}`, true);
  }
  return left;
})()

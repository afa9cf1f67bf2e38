(() => {
  const [width, height, ratio, touch, mobile] = SCREEN;
  const left = [];
  const see = (what, there) => { if (there) left.push(what); };
  see('another page', location.href !== 'about:blank' || document.documentElement.outerHTML.length > 40);
  see('a history', history.length > 1);
  see('the name of the window', name);
  see('an opener', opener);
  see('another screen', !mobile && (innerWidth !== width || innerHeight !== height || devicePixelRatio !== ratio));
  see('touch', (navigator.maxTouchPoints > 0) !== touch);
  return left;
})()

const act = (el, { left, top }) => { el.scrollTo({ left, top, behavior: 'instant' }); };

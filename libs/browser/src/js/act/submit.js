// Finds the form to submit.
const act = (el) => (el.closest('form') ? {} : { refused: 'it is in no form' });

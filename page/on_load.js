// Run once when the page has loaded. Gradio takes a JavaScript function as text, so this file is one expression.

// In Gradio 6.31.0 a Sketchpad that is new or was cleared has no active tool, so select the brush. It has no keyboard
// shortcuts either. To drop this, check that the first stroke on a new page, and after clearing, draws.
() => {
  const pad = document.querySelector('#pad');
  const button = (name) => pad.querySelector(`button[aria-label="${name}"]`);
  const prepare = () => {
    if (button('Brush') && !button('Brush Size') && !button('Eraser Size')) button('Brush').click();
    const canvas = pad.querySelector('.pixi-target canvas');  // another, hidden, is for cropping
    if (canvas && !canvas.hasAttribute('role')) {
      canvas.setAttribute('role', 'img');
      canvas.setAttribute('aria-label', 'Drawing pad: draw one digit from 0 to 9 with the mouse, a finger or a pen');
    }
  };
  new MutationObserver(prepare).observe(pad, { childList: true, subtree: true, attributes: true });
  prepare();
  document.addEventListener('keydown', (event) => {
    if (event.target.closest('input, textarea, [contenteditable]')) return;
    const key = event.key.toLowerCase();
    const press = (name) => { button(name)?.click(); event.preventDefault(); };
    if ((event.ctrlKey || event.metaKey) && key === 'z') press(event.shiftKey ? 'Redo' : 'Undo');
    else if ((event.ctrlKey || event.metaKey) && key === 'y') press('Redo');
    else if (key === 'delete') press('Clear canvas');
  });
}

() => document.querySelector('#pad button[aria-label="Clear canvas"]')?.click()

"""The development server: `python app.py [--host H] [--port P] [--log-file F]`. ./run.sh is the one for real use.

Beside the package app/ this file is found only as a script: gunicorn's name for the application is "app:create_app()".
"""

from app.commands.serve import development

if __name__ == "__main__":
    development(prog_name="python app.py")

"""How the draft encoder is made: images with a licence, a teacher, and a student that imitates it.

python -m training --teacher vgg16 --weights FOLDER --out FOLDER
"""
